# SPDX-License-Identifier: MIT
"""
Hosts on one bridge, each a network namespace of its own: made with the kernel's own calls, since
the build root has no iproute2. All of it ends with the process.
"""
import contextlib
import errno
import fcntl
import os
import signal
import socket
import struct

import tap

SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFHWADDR = 0x8914, 0x8916, 0x891c, 0x8924
SIOCBRADDBR, SIOCBRADDIF = 0x89a0, 0x89a2
IFF_UP = 1


def ioctl(request, name, data=b''):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, request, struct.pack('16s24s', name.encode(), data))


def inet(address):
    return struct.pack('<HH4s', socket.AF_INET, 0, socket.inet_aton(address))


def set_address(name, address, mac=None):
    """Down, the addresses, up again: whatever was under way there isn't its any more."""
    ioctl(SIOCSIFFLAGS, name, struct.pack('<H', 0))
    if mac:
        ioctl(SIOCSIFHWADDR, name, struct.pack('<H6s', 1, bytes.fromhex(mac.replace(':', ''))))
    if address:
        ioctl(SIOCSIFADDR, name, inet(address))
        ioctl(SIOCSIFNETMASK, name, inet('255.255.255.0'))
    ioctl(SIOCSIFFLAGS, name, struct.pack('<H', IFF_UP))


def attribute(kind, data):
    return struct.pack('<HH', len(data) + 4, kind) + data + bytes(-len(data) % 4)


def add_veth(name, peer, pid):
    """A cable: `name` here, `peer` in the namespace of process `pid`."""
    link = bytes(16)
    other = link + attribute(3, peer.encode() + b'\0') + attribute(19, struct.pack('<I', pid))
    info = attribute(1, b'veth') + attribute(2, attribute(1, other))
    body = link + attribute(3, name.encode() + b'\0') + attribute(18, info)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack('<IHHII', 16 + len(body), 16, 0x605, 1, 0) + body)
        error = -struct.unpack_from('<i', sock.recv(4096), 16)[0]
    if error:
        raise OSError(error, f'veth: {os.strerror(error)}')


class Host:
    """A network namespace, held by a process that does nothing else."""

    def __init__(self, bridge, number):
        self.interface = 'eth0'
        ready, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.unshare(os.CLONE_NEWNET)
            os.write(said, b'x')
            while True:
                signal.pause()
        os.close(said)
        os.read(ready, 1)
        os.close(ready)
        add_veth(f'port{number}', self.interface, self.pid)
        ioctl(SIOCBRADDIF, bridge, struct.pack('<i', socket.if_nametoindex(f'port{number}')))
        set_address(f'port{number}', None)

    def address(self, address, mac):
        """Take this address from now on."""
        child = os.fork()
        if child == 0:
            with contextlib.suppress(OSError):
                os.setns(os.pidfd_open(self.pid), os.CLONE_NEWNET)
                set_address(self.interface, address, mac)
                os._exit(0)                                         # pylint: disable=W0212
            os._exit(1)                                             # pylint: disable=W0212
        assert os.waitpid(child, 0)[1] == 0, f'{address} can\'t be set'

    def enter(self):
        """The words before a command that runs it there."""
        return ['nsenter', f'--net=/proc/{self.pid}/ns/net']

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def network(address, count):
    """A namespace for this process, with a bridge that has `address`, and `count` hosts on it."""
    try:
        os.unshare(os.CLONE_NEWNET)
        set_address('lo', '127.0.0.1')
        ioctl(SIOCBRADDBR, 'br0')
        set_address('br0', address)
        return [Host('br0', number) for number in range(count)]
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOPKG, errno.ENOTTY):
            raise tap.Skip(f'no network namespaces, veth or bridge here: {error}') from error
        raise
