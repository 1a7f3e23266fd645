"""From WebSocket frames to ASGI messages: reassembly, and the check that text is UTF-8.

The check runs as an extension of the Sans-I/O protocol, the public place at which a frame can be
refused before the frames behind it are processed: a UnicodeDecodeError there fails the
connection with 1007 (RFC 6455, 8.1), and no later close frame in the same read wins. A
fragmented text is checked fragment by fragment, so an invalid one is not read to its end.
"""

from __future__ import annotations

import codecs
from typing import Any

from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionName

_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class MessageReader(Extension):
    """One connection's incoming message.

    Put first in the protocol's `extensions`: they decode in reverse order, so that one that
    decompresses has done so when the text is checked.
    """

    __slots__ = ("_decoder", "_is_text", "_payload")

    name = ExtensionName("shardlayer-utf8")  # never negotiated: not a wire extension

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = None  # set within a fragmented text
        self._payload = bytearray()  # grows in place: tiny fragments are not objects
        self._is_text = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return the frame as it is; raise UnicodeDecodeError for text that isn't UTF-8.

        Raises ProtocolError for that if the frame has a reserved bit set: who compresses without
        an agreement is told so (RFC 7692, 6).
        """
        try:
            self._check_text(frame)
        except UnicodeDecodeError:
            frame.check()
            raise
        return frame

    def _check_text(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT:
            if frame.fin:
                str(frame.data, "utf-8")
            else:
                self._decoder = _Utf8Decoder()
                self._decoder.decode(bytes(frame.data))
        elif opcode is Opcode.CONT and self._decoder is not None:
            self._decoder.decode(bytes(frame.data), frame.fin)
            if frame.fin:
                self._decoder = None

    def encode(self, frame: Frame) -> Frame:
        """Return the frame as it is."""
        return frame

    def clear(self) -> None:
        """Forget the message that was begun: nothing will complete it."""
        self._payload = bytearray()
        self._decoder = None

    def read(self, frame: Frame) -> dict[str, Any] | None:
        """Return the `websocket.receive` message that the frame completes, if it does.

        The frames are those that the Sans-I/O protocol returned as events, in that order.
        """
        opcode = frame.opcode
        if opcode is Opcode.CONT:
            self._payload += frame.data
            if not frame.fin:
                return None
            payload, self._payload = bytes(self._payload), bytearray()
            is_text = self._is_text
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            is_text = opcode is Opcode.TEXT
            if not frame.fin:
                self._payload = bytearray(frame.data)
                self._is_text = is_text
                return None
            payload = bytes(frame.data)
        else:
            return None  # control frames are answered by the protocol
        if is_text:
            return {"type": "websocket.receive", "text": payload.decode()}
        return {"type": "websocket.receive", "bytes": payload}
