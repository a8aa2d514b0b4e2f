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


def route_netlink(kind, flags, body):
    """A request of rtnetlink that makes something; OSError when the kernel refuses it."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack('<IHHII', 16 + len(body), kind, flags | 0x605, 1, 0) + body)
        error = -struct.unpack_from('<i', sock.recv(4096), 16)[0]
    if error:
        raise OSError(error, f'rtnetlink: {os.strerror(error)}')


def add_veth(name, peer, pid):
    """A cable: `name` here, `peer` in the namespace of process `pid`."""
    link = bytes(16)
    other = link + attribute(3, peer.encode() + b'\0') + attribute(19, struct.pack('<I', pid))
    info = attribute(1, b'veth') + attribute(2, attribute(1, other))
    route_netlink(16, 0, link + attribute(3, name.encode() + b'\0') + attribute(18, info))


def add_ipv6(name, address):
    """Of a network of 64 bits, and at once: it isn't asked for who else has it (IFA_F_NODAD)."""
    data = socket.inet_pton(socket.AF_INET6, address)
    route_netlink(20, 0, struct.pack('<BBBBi', socket.AF_INET6, 64, 2, 0, socket.if_nametoindex(name)) +
                  attribute(1, data) + attribute(2, data))


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

    def do(self, what, *args):
        """Call that there, in a process of its own; Skip where it was skipped."""
        child = os.fork()
        if child == 0:
            try:
                os.setns(os.pidfd_open(self.pid), os.CLONE_NEWNET)
                what(*args)
                os._exit(0)                                         # pylint: disable=W0212
            except tap.Skip:
                os._exit(2)                                         # pylint: disable=W0212
            except OSError:
                os._exit(1)                                         # pylint: disable=W0212
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 2:
            raise tap.Skip(f'{what.__module__}.{what.__name__} can\'t be done here')
        assert status == 0, f'{what.__name__}{args} failed'

    def address(self, address, mac):
        """Take this address from now on."""
        self.do(set_address, self.interface, address, mac)

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes meanwhile are of that host."""
        here = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        os.setns(os.pidfd_open(self.pid), os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(here, os.CLONE_NEWNET)
            os.close(here)

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
