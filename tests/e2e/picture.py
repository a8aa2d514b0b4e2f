# SPDX-License-Identifier: MIT
"""
Reads the words of a no-signal picture from displayed pixels, by the letters that
userspace/volet-cam/font.c draws it with (a copy of them: the board has no sources).
"""
COLUMNS, ROWS, ADVANCE, LINES, LINE_DOTS = 5, 7, 6, 4, 11

# A to Z, then 0 to 9: seven rows of five dots each.
LETTERS = '''0e11111f111111 1e11111e11111e 0e11101010110e 1e11111111111e 1f10101e10101f 1f10101e101010
 0e11101711110f 1111111f111111 0e04040404040e 0702020202120c 11121418141211 1010101010101f 111b1515111111
 11191513111111 0e11111111110e 1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404
 1111111111110e 11111111110a04 11111115151b11 11110a040a1111 11110a04040404 1f01020408101f
 0e11131519110e 040c040404040e 0e11010608101f 1f02040201110e 02060a121f0202 1f101e0101110e 0608101e11110e
 1f010204080808 0e11110e11110e 0e11110f01020c'''.split()
NAMES = {bytes.fromhex(rows): name for rows, name in zip(LETTERS, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')}
NAMES[bytes(7)] = ' '
NAMES[bytes([0, 0, 0, 0x1f, 0, 0, 0])] = '-'
NAMES[bytes([0] * 6 + [0x1f])] = '_'


def cell(gray, width, x, y, dot):
    """The letter whose top left is at x, y, or None where the dots are none."""
    rows = bytearray()
    for row in range(ROWS):
        bits = 0
        for column in range(COLUMNS):
            at = (y + row * dot + dot // 2) * width + x + column * dot + dot // 2
            bits = bits << 1 | (gray[at] > 130)
        rows.append(bits)
    return NAMES.get(bytes(rows))


def line(gray, width, y, most):
    """The words of one line: every length that its centring allows is tried, the longest first."""
    for length in range(38, 0, -1):
        dots = length * ADVANCE
        dot = max(1, min(most, width // (dots + ADVANCE)))
        if dots * dot > width:
            continue
        x = (width - dots * dot) // 2
        text = [cell(gray, width, x + i * ADVANCE * dot, y, dot) for i in range(length)]
        if None not in text and text[0] != ' ' and text[-1] != ' ':
            return ''.join(text)
    return ''


def read(gray, width, height):
    """The lines of the picture; empty strings where there are no words of this kind."""
    dot = max(1, min(width // 160, height // (LINES * LINE_DOTS + 4)))
    used = (LINES * LINE_DOTS - 4) * dot
    top = (height - used) // 2 if height > used else 0
    return [line(gray, width, top + i * LINE_DOTS * dot, dot) for i in range(LINES)]
