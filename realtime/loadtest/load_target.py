"""The deployment that is tested, and whether it may be."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"ws": 80, "wss": 443}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class BadTarget(ValueError):
    """The address is none, or is not the caller's to test; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTarget:
    """A WebSocket address.

    Attributes:
        host: As it stands in the address.
        address: The IP address that is connected to.
        port: The TCP port.
        tls: Whether it is wss://.
        path: Where the WebSocket is, with a slash in front.
    """

    host: str
    address: str
    port: int
    tls: bool
    path: str

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, as seen from this machine alone."""
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def authority(self) -> str:
        """Host and port, as a header Host has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["wss" if self.tls else "ws"] else f"{host}:{self.port}"

    @property
    def http(self) -> str:
        """The same server over HTTP, without a path."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    @property
    def url(self) -> str:
        """The address as a client knows it."""
        return f"{'wss' if self.tls else 'ws'}://{self.authority}{self.path}"

    def told(self, origin: str) -> dict[str, str | int]:
        """Return what a process that connects is told: the arguments of `SwarmTarget.of`.

        Args:
            origin: The header of the handshake; empty: the target's own.
        """
        return {
            "address": self.address,
            "port": self.port,
            "path": self.path,
            "host": self.authority,
            "origin": origin or self.http,
            "tls_name": self.host if self.tls else "",
        }


def read_target(url: str) -> LoadTarget:
    """Return the target of an address such as ws://127.0.0.1:8000/ws/.

    Raises:
        BadTarget: It is no such address, or its host is unknown.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"{url} is no address: {error}.") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadTarget(f"{url} is no address of a WebSocket, such as ws://127.0.0.1:8000/ws/.")
    if parts.query or parts.fragment or parts.username is not None:
        raise BadTarget(f"{url} may have a path, but neither a query, a fragment nor a user.")
    port = port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadTarget(f"The host {parts.hostname} is not found: {error}.") from error
    # IPv4 first: what listens on "localhost" often listens there alone.
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return LoadTarget(
        host=parts.hostname,
        address=str(found[0][4][0]),
        port=port,
        tls=parts.scheme == "wss",
        path=parts.path or "/",
    )


def require_ours(target: LoadTarget, owned: str | None) -> None:
    """Raise BadTarget if the target is another machine that the caller has not said is theirs.

    A name counts as loopback only if it is one of the usual names: any other could be anybody's,
    and point elsewhere for an agent.

    Args:
        target: Who would be tested.
        owned: The host that the caller says is theirs.
    """
    if owned is not None and owned.lower() != target.host.lower():
        raise BadTarget(
            f"--yes-i-own-it says {owned}, but --url says {target.host}: they must be the same."
        )
    if target.is_loopback and (
        target.host.lower() in _LOOPBACK_NAMES or target.host == target.address
    ):
        return
    if owned is None:
        raise BadTarget(
            f"{target.host} is not this machine. A load test can take a site down. If the site is "
            f"yours to test, say so: --yes-i-own-it {target.host}"
        )
