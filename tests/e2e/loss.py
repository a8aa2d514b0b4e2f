# SPDX-License-Identifier: MIT
"""
A network that loses datagrams: one rule of nftables, made with the kernel's own messages, since the
build root has no nft. It is of the network namespace that asks for it.
"""
import os
import socket
import struct

import tap

NETLINK_NETFILTER, NFTABLES, INET = 12, 10, 1
BATCH_BEGIN, BATCH_END, NEW_TABLE, NEW_CHAIN, NEW_RULE = 16, 17, NFTABLES << 8, NFTABLES << 8 | 3, NFTABLES << 8 | 6
REQUEST, ACK, CREATE, APPEND, NESTED = 1, 4, 0x400, 0x800, 0x8000
INPUT, REG1, L4PROTO, RANDOM = 1, 1, 16, 1
TABLE = b'loss'


def attribute(kind, data):
    """Data is bytes, a number, or a list of attributes."""
    if isinstance(data, list):
        kind, data = kind | NESTED, b''.join(data)
    if isinstance(data, int):
        data = struct.pack('>I', data)
    return struct.pack('<HH', len(data) + 4, kind) + data + bytes(-len(data) % 4)


def expression(name, *attributes):
    return attribute(1, [attribute(1, name + b'\0'), attribute(2, list(attributes))])


def equal(value):
    """The register is this, or the rule doesn't match."""
    return expression(b'cmp', attribute(1, REG1), attribute(2, 0), attribute(3, [attribute(1, value)]))


def rule(one_in):
    """Of UDP, one datagram in so many: dropped."""
    return [expression(b'meta', attribute(1, REG1), attribute(2, L4PROTO)), equal(bytes([socket.IPPROTO_UDP])),
            expression(b'numgen', attribute(1, REG1), attribute(2, one_in), attribute(3, RANDOM)), equal(bytes(4)),
            expression(b'immediate', attribute(1, 0), attribute(2, [attribute(2, [attribute(1, 0)])]))]


def message(kind, flags, family, body=b'', resource=0):
    return struct.pack('<IHHII', 20 + len(body), kind, REQUEST | flags, 1, 0) + \
        struct.pack('>BBH', family, 0, resource) + body


def lose(one_in):
    """From now on, of the datagrams that come in here, one in so many at random is lost. Skip where it can't be."""
    hook = attribute(4, [attribute(1, INPUT), attribute(2, 0)])
    batch = [
        message(BATCH_BEGIN, 0, 0, resource=NFTABLES),
        message(NEW_TABLE, ACK | CREATE, INET, attribute(1, TABLE + b'\0')),
        message(NEW_CHAIN, ACK | CREATE, INET, attribute(1, TABLE + b'\0') + attribute(3, b'in\0') + hook +
                attribute(7, b'filter\0')),
        message(NEW_RULE, ACK | CREATE | APPEND, INET, attribute(1, TABLE + b'\0') + attribute(2, b'in\0') +
                attribute(4, rule(one_in))),
        message(BATCH_END, 0, 0, resource=NFTABLES)]
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
            sock.settimeout(5)
            sock.send(b''.join(batch))
            for _ in range(3):
                error = -struct.unpack_from('<i', sock.recv(4096), 16)[0]
                if error:
                    raise OSError(error, f'nftables: {os.strerror(error)}')
    except OSError as error:
        raise tap.Skip(f'no nftables with random numbers here: {error}') from error
