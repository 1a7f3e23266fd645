"""permessage-deflate (RFC 7692) between a client and the server: the agreement, and what comes in.

What goes out is in shardlayer/core/compression.py. Neither side keeps its window from one message
to the next: the server promises it (`server_no_context_takeover`) so that one compressed frame is
for all clients, and asks for it (`client_no_context_takeover`) so that an idle connection holds no
window of 32 KiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader, NegotiationError, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.server import ServerProtocol
from websockets.typing import ExtensionParameter

from shardlayer.core.compression import WINDOW_BITS
from shardlayer.server.parser import let_go
from shardlayer.server.request import Head

_EXTENSIONS = "Sec-WebSocket-Extensions"
_SAME_WORK = 16 * 1024  # bytes that a client's messages grow by, which count as one more frame
_IN_FACTOR = 4  # a compressed byte counts as so many: it may be of a block's code, and no text
_BEHIND_END = 5  # bytes: what may follow a block that says it is the last (RFC 7692, 7.2.3.4)


class Agreement(NamedTuple):
    """What was agreed on with a client.

    Attributes:
        answer: The header of the 101 response that says so.
        client_window_bits: The window of the client's messages.
    """

    answer: str
    client_window_bits: int


class MalformedOffer(InvalidHeader):
    """What the client offers is no list of extensions."""

    def __init__(self) -> None:
        super().__init__(_EXTENSIONS)


class Inflating(PerMessageDeflate):
    """Takes a client's messages, compressed or not; what goes out is not touched.

    A message that grows past the connection's limit ends the connection with 1009 when it does so,
    one that is not compressed as agreed with 1002.
    """

    def __init__(self, agreement: Agreement) -> None:
        super().__init__(
            remote_no_context_takeover=True,
            local_no_context_takeover=True,
            remote_max_window_bits=agreement.client_window_bits,
            local_max_window_bits=WINDOW_BITS,
        )
        self._work = 0  # bytes

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return the frame without compression.

        Raises ProtocolError for a message that goes on behind its last block: zlib would gather
        what comes there, which no limit counts.
        """
        decoded = super().decode(frame, max_size=max_size)
        if decoded is not frame:
            took = len(frame.data)
            self._work += max(len(decoded.data) - took, _IN_FACTOR * took)
            if not frame.fin and len(self.decoder.unused_data) > _BEHIND_END:
                raise ProtocolError("data behind the last block")
        return decoded

    def encode(self, frame: Frame) -> Frame:
        """Return the frame as it is: an application's own message is for one client."""
        return frame

    def take_work(self) -> int:
        """Return how many frames the work was worth since the last call, beside those that came.

        A client may make a server write 1,000 bytes for each that it sends, or read codes that
        nothing is written with, at some 80 ns for each byte.
        """
        frames, self._work = divmod(self._work, _SAME_WORK)
        return frames


def agree(head: Head) -> Agreement | None:
    """Return what can be agreed on with a client that asks so; None if nothing.

    Raises:
        MalformedOffer: A client must not be served then (RFC 6455, 9.1).
    """
    offers = [value for name, value in head.headers if name == b"sec-websocket-extensions"]
    return _agreement_on(b", ".join(offers)) if offers else None


@lru_cache(maxsize=256)  # clients of one kind offer the same; a head's limit is that of an entry
def _agreement_on(offers: bytes) -> Agreement | None:
    headers = Headers({_EXTENSIONS: offers.decode("latin-1")})
    reader = ServerProtocol(extensions=[_Factory()])
    try:
        answer, agreed = reader.process_extensions(headers)
    except InvalidHeader as error:
        raise MalformedOffer from error
    finally:
        let_go(reader)
    for extension in agreed:
        if answer is not None and isinstance(extension, PerMessageDeflate):
            return Agreement(answer, extension.remote_max_window_bits)
    return None


class _Factory(ServerPerMessageDeflateFactory):
    """Declines an offer (RFC 7692, 7.1) that asks for a smaller window than ours has."""

    def __init__(self) -> None:
        super().__init__(
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=WINDOW_BITS,
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < WINDOW_BITS:
            raise NegotiationError("the client takes smaller windows alone")
        return answer, extension
