# SPDX-License-Identifier: MIT
"""Pictures with the pixel tag of any camera (userspace/common/tag.h), as a JPEG: what a liar shows."""
import subprocess

COLUMNS, ROWS, BLACK, WHITE = 40, 4, 16, 235


def crc16(data):
    crc = 0xffff
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc


def gray(camera, sequence, time_ns, width=320, height=240):
    """A luma plane with both copies of the tag, as a test camera draws it."""
    data = bytes([ord('V'), camera]) + sequence.to_bytes(4, 'big') + time_ns.to_bytes(8, 'big') + bytes(4)
    data += crc16(data).to_bytes(2, 'big')
    bits = ''.join(f'{byte:08b}' for byte in data)
    cell = width // COLUMNS
    rows = []
    for row in range(ROWS):
        line = b''.join(bytes([WHITE if bit == '1' else BLACK]) * cell
                        for bit in bits[row * COLUMNS:(row + 1) * COLUMNS])
        rows += [line.ljust(width, b'\x80')] * cell
    return b''.join(rows + [b'\x80' * width] * (height - 2 * len(rows)) + rows)


def jpeg(camera, sequence, time_ns, width=320, height=240):
    """With the standard's Huffman tables, which RTP leaves out."""
    return subprocess.run(
        ['ffmpeg', '-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'gray', '-video_size', f'{width}x{height}',
         '-i', '-', '-pix_fmt', 'yuvj420p', '-huffman', 'default', '-q:v', '2', '-f', 'mjpeg', '-'],
        input=gray(camera, sequence, time_ns, width, height), capture_output=True, check=True).stdout
