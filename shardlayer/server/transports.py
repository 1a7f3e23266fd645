"""What the server asks of a Twisted transport, and which transports are a bare socket."""

from __future__ import annotations

import socket
from typing import Any, Protocol

from twisted.internet import tcp, unix
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.policies import ProtocolWrapper

READ_SIZE = 64 * 1024  # bytes

Address = list[Any]
"""A host and a port, as ASGI scopes have them: a list of str and int."""


class Transport(Protocol):
    """The public part of Twisted's stream transports that is used here."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...  # noqa: N802
    def startWriting(self) -> None: ...  # noqa: N802
    def loseWriteConnection(self) -> None: ...  # noqa: N802
    def abortConnection(self) -> None: ...  # noqa: N802
    def pauseProducing(self) -> None: ...  # noqa: N802
    def resumeProducing(self) -> None: ...  # noqa: N802
    def registerProducer(self, producer: Any, streaming: bool) -> None: ...  # noqa: N802
    def unregisterProducer(self) -> None: ...  # noqa: N802
    def setTcpNoDelay(self, enabled: bool) -> None: ...  # noqa: N802
    def getHandle(self) -> socket.socket: ...  # noqa: N802
    def getPeer(self) -> Any: ...  # noqa: N802
    def getHost(self) -> Any: ...  # noqa: N802


class StreamProtocol(Protocol):
    """The part of Twisted's IProtocol that a transport calls, and what HTTP's has beside it."""

    requestFactory: Any  # noqa: N815

    def makeConnection(self, transport: Any) -> None: ...  # noqa: N802
    def dataReceived(self, data: bytes) -> None: ...  # noqa: N802
    def connectionLost(self, reason: Any) -> None: ...  # noqa: N802


def is_plain(transport: object) -> bool:
    """Say whether what is sent on the transport's socket reaches the client as it is.

    Exact types, no isinstance: a TLS or PROXY wrapper passes the socket of the transport below
    it through, and a direct send on that would put plain text into the TLS session.
    """
    return type(transport) in (tcp.Server, unix.Server)


def is_secure(transport: object) -> bool:
    """Say whether the client's connection is encrypted up to this process."""
    return not is_plain(transport) and bool(ISSLTransport.providedBy(transport))


def was_left(transport: Any) -> bool:
    """Say whether the client has ended its TLS session, so that nothing can be sent any more.

    Twisted closes the connection then, but only if no producer is registered once all has left.
    """
    below = getattr(transport, "transport", None)
    return bool(getattr(below, "disconnecting", False)) and not transport.disconnecting


def addresses(transport: Transport) -> tuple[Address | None, Address | None]:
    """Return the client's and the server's address; None for both on a Unix socket."""
    peer = transport.getPeer()
    if not (hasattr(peer, "host") and hasattr(peer, "port")):
        return None, None
    host = transport.getHost()
    return [str(peer.host), peer.port], [str(host.host), host.port]


def drop_unread(transport: Transport) -> bool:
    """Read and drop what the client of a plain transport has sent; say whether that was anything.

    A close with unread bytes resets the connection, and what was written just before with it.
    """
    try:
        return bool(transport.getHandle().recv(READ_SIZE))
    except OSError:  # nothing yet, or the client is gone
        return False


def host_of(transport: Transport) -> str | None:
    """Return the client's host; None on a Unix socket."""
    host = getattr(transport.getPeer(), "host", None)
    return None if host is None else str(host)


def protocol_of(transport: Any) -> StreamProtocol:
    """Return the protocol that has the connection."""
    wraps = isinstance(transport, ProtocolWrapper)
    protocol: StreamProtocol = transport.wrappedProtocol if wraps else transport.protocol
    return protocol


def switch_protocol(transport: Any, protocol: Any) -> None:
    """Let another protocol have the connection, as Daphne does for its own WebSockets."""
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
