"""Cases 1 to 5: framing, pings and pongs, reserved bits, opcodes, fragmentation."""

from __future__ import annotations

from tests.server.autobahn.case import PROTOCOL_ERROR, Case, binary, pong, text
from tests.server.client import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

_SIZES = (0, 125, 126, 127, 128, 65535, 65536, 65536)
_LAST_CHOP = 997  # of the eighth case of 1.1 and 1.2
_ERROR = (PROTOCOL_ERROR,)
_HELLO = b"Hello, world!"


def _sizes() -> list[Case]:
    cases = []
    for number, size in enumerate(_SIZES, 1):
        chop = _LAST_CHOP if number == len(_SIZES) else None
        for kind, opcode, payload in ((1, TEXT, b"*" * size), (2, BINARY, b"\xfe" * size)):
            echo = text(payload) if opcode == TEXT else binary(payload)
            sends = frame(opcode, payload)
            cases.append(Case(number=f"1.{kind}.{number}", sends=sends, chop=chop, expects=(echo,)))
    return cases


def _pings() -> list[Case]:
    blob = bytes.fromhex("00fffefdfcfb00ff")
    ten = [b"payload-%d" % number for number in range(10)]
    long = b"\xfe" * 125
    pings = b"".join(frame(PING, payload) for payload in ten)
    pongs = tuple(pong(payload) for payload in ten)
    return [
        Case(number="2.1", sends=frame(PING), expects=(pong(),)),
        Case(number="2.2", sends=frame(PING, _HELLO), expects=(pong(_HELLO),)),
        Case(number="2.3", sends=frame(PING, blob), expects=(pong(blob),)),
        Case(number="2.4", sends=frame(PING, long), expects=(pong(long),)),
        Case(number="2.5", sends=frame(PING, long + b"\xfe"), fails=_ERROR),
        Case(number="2.6", sends=frame(PING, long), chop=1, expects=(pong(long),)),
        Case(number="2.7", sends=frame(PONG)),
        Case(number="2.8", sends=frame(PONG, b"unsolicited pong payload")),
        Case(
            number="2.9",
            sends=frame(PONG, b"unsolicited pong payload") + frame(PING, b"ping payload"),
            expects=(pong(b"ping payload"),),
        ),
        Case(number="2.10", sends=pings, expects=pongs),
        Case(number="2.11", sends=pings, chop=1, expects=pongs),
    ]


def _reserved_bits() -> list[Case]:
    after = frame(TEXT, _HELLO)
    echo = (text(_HELLO),)

    def hello(rsv: int) -> bytes:
        return after + frame(TEXT, _HELLO, rsv=rsv) + frame(PING)

    return [
        Case(number="3.1", sends=frame(TEXT, _HELLO, rsv=1), fails=_ERROR),
        Case(number="3.2", sends=hello(2), expects=echo, fails=_ERROR),
        Case(number="3.3", sends=hello(3), chop=len(after), expects=echo, fails=_ERROR),
        Case(number="3.4", sends=hello(4), chop=1, expects=echo, fails=_ERROR),
        Case(number="3.5", sends=frame(BINARY, b"\x00\xff\xfe", rsv=5), fails=_ERROR),
        Case(number="3.6", sends=frame(PING, _HELLO, rsv=6), fails=_ERROR),
        Case(number="3.7", sends=frame(CLOSE, rsv=7), fails=_ERROR),
    ]


def _opcodes() -> list[Case]:
    cases = []
    for kind, reserved in ((1, range(3, 8)), (2, range(11, 16))):
        first, second, third, fourth, fifth = reserved
        hello = frame(TEXT, _HELLO)
        echo = (text(_HELLO),)
        for number, sends, chop, expects in (
            (1, frame(first), None, ()),
            (2, frame(second, b"reserved opcode payload"), None, ()),
            (3, hello + frame(third) + frame(PING), None, echo),
            (4, hello + frame(fourth, _HELLO) + frame(PING), None, echo),
            (5, hello + frame(fifth, _HELLO) + frame(PING), 1, echo),
        ):
            cases.append(
                Case(
                    number=f"4.{kind}.{number}",
                    sends=sends,
                    chop=chop,
                    expects=expects,
                    fails=_ERROR,
                )
            )
    return cases


def _fragments() -> list[Case]:
    one, two = b"fragment1", b"fragment2"
    first = frame(TEXT, one, fin=False)
    whole = text(one + two)
    with_ping = first + frame(PING, b"ping payload") + frame(CONT, two)
    nothing_to_continue = frame(CONT, b"non-continuation payload")
    nothing_to_continue_open = frame(CONT, b"non-continuation payload", fin=False)
    hello = frame(TEXT, b"Hello, world!")
    five = [b"fragment%d" % number for number in range(1, 6)]
    many = (
        frame(TEXT, five[0], fin=False)
        + frame(CONT, five[1], fin=False)
        + frame(PING, b"pongme 1!")
        + frame(CONT, five[2], fin=False)
        + frame(CONT, five[3], fin=False)
        + frame(PING, b"pongme 2!")
        + frame(CONT, five[4])
    )
    many_answers = (pong(b"pongme 1!"), pong(b"pongme 2!"), text(b"".join(five)))
    cases = [
        Case(number="5.1", sends=frame(PING, one, fin=False) + frame(CONT, two), fails=_ERROR),
        Case(number="5.2", sends=frame(PONG, one, fin=False) + frame(CONT, two), fails=_ERROR),
    ]
    for number, chop in ((3, None), (4, len(first)), (5, 1)):
        cases.append(
            Case(
                number=f"5.{number}",
                sends=first + frame(CONT, two),
                chop=chop,
                expects=(whole,),
            )
        )
    for number, chop in ((6, None), (7, len(first)), (8, 1)):
        cases.append(
            Case(
                number=f"5.{number}",
                sends=with_ping,
                chop=chop,
                expects=(pong(b"ping payload"), whole),
            )
        )
    for base, lone in ((9, nothing_to_continue), (12, nothing_to_continue_open)):
        for offset, chop in enumerate((None, len(lone), 1)):
            cases.append(
                Case(number=f"5.{base + offset}", sends=lone + hello, chop=chop, fails=_ERROR)
            )
    cases += [
        Case(
            number="5.15",
            sends=first + frame(CONT, two) + nothing_to_continue_open + hello,
            expects=(whole,),
            fails=_ERROR,
        ),
        Case(
            number="5.16",
            sends=(nothing_to_continue_open + first + frame(CONT, two)) * 2,
            fails=_ERROR,
        ),
        Case(
            number="5.17",
            sends=(nothing_to_continue + first + frame(CONT, two)) * 2,
            fails=_ERROR,
        ),
        Case(number="5.18", sends=first + frame(TEXT, two), fails=_ERROR),
        Case(number="5.19", sends=many, expects=many_answers),
        Case(number="5.20", sends=many, chop=15, expects=many_answers),
    ]
    return cases


CASES = [*_sizes(), *_pings(), *_reserved_bits(), *_opcodes(), *_fragments()]
