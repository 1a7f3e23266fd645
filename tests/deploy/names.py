"""A name server with one answer for every name: what Docker's says of a service's containers."""

from __future__ import annotations

import socket
import struct
from threading import Thread
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
A, IN = 1, 1


class NameServer:
    """One on a loopback port, as a context manager.

    Attributes:
        addresses: What it answers with, now; each an IPv4 address.
        address: Where it is, as host:port.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self.address = f"{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._thread = Thread(target=self._serve, name="names")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while question := self._socket.recvfrom(1024):
            query, sender = question
            if not query:
                return
            self._socket.sendto(answer(query, self.addresses), sender)


def answer(query: bytes, addresses: list[str]) -> bytes:
    """Return the answer to a question for one name (RFC 1035 4.1)."""
    end = query.index(b"\0", 12) + 1 + 4
    asked = query[12:end]
    kind, _ = struct.unpack("!HH", asked[-4:])
    records = [
        b"\xc0\x0c" + struct.pack("!HHIH", A, IN, 1, 4) + socket.inet_aton(address)
        for address in (addresses if kind == A else [])
    ]
    head = struct.pack("!2sHHHHH", query[:2], 0x8180, 1, len(records), 0, 0)
    return head + asked + b"".join(records)
