"""Which TCP connections processes have to a port, and the bytes that came on them.

The kernel counts both. `sock_diag(7)` tells them for all sockets of the network namespace, without
a proxy between the two ends, which would cost CPU and time.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_INFO = 2  # INET_DIAG_INFO: with each socket its struct tcp_info
_ESTABLISHED = 1 << 1  # of the states of include/net/tcp_states.h
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_REQUEST = struct.Struct("=BBBBI48x")  # inet_diag_req_v2
_PORTS = struct.Struct("!HH")  # of inet_diag_msg: ours, theirs
_PORTS_AT, _INODE_AT, _ATTRIBUTES_AT = 4, 68, 72  # bytes into inet_diag_msg
_ATTRIBUTE = struct.Struct("=HH")
_U32, _U64 = struct.Struct("=I"), struct.Struct("=Q")
_RECEIVED_AT = 128  # tcpi_bytes_received in tcp_info
_ANSWER = 1 << 16  # bytes read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The established connections of some processes to one port.

    Attributes:
        count: How many.
        received: Bytes that the processes have been sent on them.
    """

    count: int
    received: int


def connected(pids: Iterable[int], port: int) -> Connected:
    """Return what processes of this machine have to a port, of IPv4 and IPv6.

    Raises:
        OSError: The kernel doesn't tell.
    """
    theirs = {inode for pid in pids for inode in _sockets_of(pid)}
    found = [
        received
        for family in (socket.AF_INET, socket.AF_INET6)
        for inode, peer, received in _established(family)
        if peer == port and inode in theirs
    ]
    return Connected(count=len(found), received=sum(found))


def _sockets_of(pid: int) -> Iterator[int]:
    """Yield the inodes of a process's sockets."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            kind, _, number = os.readlink(entry).partition(":")
            if kind == "socket":
                yield int(number.strip("[]"))


def _established(family: int) -> Iterator[tuple[int, int, int]]:
    """Yield the inode, the other end's port and the bytes received of each connection."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _ESTABLISHED)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        header = _HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 0, 0)
        kernel.send(header + request)
        while True:
            for kind, message in _messages(kernel.recv(_ANSWER)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (number,) = struct.unpack_from("=i", message)
                    raise OSError(-number, os.strerror(-number))
                _, peer = _PORTS.unpack_from(message, _PORTS_AT)
                (inode,) = _U32.unpack_from(message, _INODE_AT)
                yield inode, peer, _received(message)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each netlink message."""
    while data:
        size, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : size]
        data = data[_aligned(size) :]


def _received(message: bytes) -> int:
    """Return the bytes received of an inet_diag_msg with its attributes."""
    rest = message[_ATTRIBUTES_AT:]
    while rest:
        size, kind = _ATTRIBUTE.unpack_from(rest)
        if kind == _INFO:
            (count,) = _U64.unpack_from(rest, _ATTRIBUTE.size + _RECEIVED_AT)
            return int(count)
        rest = rest[_aligned(size) :]
    return 0


def _aligned(size: int) -> int:
    """Return the bytes that something of this size takes in a netlink message."""
    return (size + 3) & ~3
