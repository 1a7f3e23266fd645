"""Cases 7: how a connection is closed. What follows the client's close frame is not answered."""

from __future__ import annotations

from tests.server.autobahn.case import INVALID_TEXT, PROTOCOL_ERROR, Case, text
from tests.server.client import CLOSE, CONT, PING, TEXT, close_frame, frame

_HELLO = b"Hello World!"
_VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
_INVALID_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
_NORMAL = (1000,)
_ERROR = (PROTOCOL_ERROR,)

CASES = [
    Case(
        number="7.1.1",
        sends=frame(TEXT, _HELLO) + close_frame(1000),
        expects=(text(_HELLO),),
        fails=_NORMAL,
    ),
    Case(number="7.1.2", sends=close_frame(1000) * 2, fails=_NORMAL),
    Case(number="7.1.3", sends=close_frame(1000) + frame(PING), fails=_NORMAL),
    Case(number="7.1.4", sends=close_frame(1000) + frame(TEXT, _HELLO), fails=_NORMAL),
    # websockets takes a close within a fragmented message for a protocol error: "typically
    # echos the status code" (RFC 6455, 5.5.1) lets it. The original asks for 1000.
    Case(
        number="7.1.5",
        sends=frame(TEXT, b"fragment1", fin=False) + close_frame(1000) + frame(CONT, b"fragment2"),
        fails=(1000, PROTOCOL_ERROR),
    ),
    Case(
        number="7.1.6",
        sends=frame(TEXT, _HELLO * (256 * 1024 // len(_HELLO))) + close_frame(1000) + frame(PING),
        expects=(text(_HELLO * (256 * 1024 // len(_HELLO))),),
        fails=_NORMAL,
    ),
    Case(number="7.3.1", sends=frame(CLOSE), fails=(1005,)),
    Case(number="7.3.2", sends=frame(CLOSE, b"a"), fails=_ERROR),
    Case(number="7.3.3", sends=close_frame(1000), fails=_NORMAL),
    Case(number="7.3.4", sends=close_frame(1000, _HELLO), fails=_NORMAL),
    Case(number="7.3.5", sends=close_frame(1000, b"*" * 123), fails=_NORMAL),
    Case(number="7.3.6", sends=close_frame(1000, b"*" * 124), fails=_ERROR),
    Case(
        number="7.5.1",
        sends=close_frame(1000, bytes.fromhex("cebae1bdb9cf83cebcceb5 eda080 656469746564")),
        fails=(INVALID_TEXT, PROTOCOL_ERROR),
    ),
    *(
        Case(number=f"7.7.{number}", sends=close_frame(code), fails=(code,))
        for number, code in enumerate(_VALID_CODES, 1)
    ),
    *(
        Case(number=f"7.9.{number}", sends=close_frame(code), fails=_ERROR)
        for number, code in enumerate(_INVALID_CODES, 1)
    ),
    Case(number="7.13.1", sends=close_frame(5000), fails=_ERROR),
    Case(number="7.13.2", sends=close_frame(65535), fails=_ERROR),
]
