"""Cases 9 and 10: large messages, many fragments, chopped writes, many messages.

The messages are built when a case runs, not when it is collected: together they have 300 MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.server.autobahn.case import Case, binary, text
from tests.server.client import BINARY, CONT, TEXT, frame

KIB = 1024
MIB = 1024 * 1024
ROUNDTRIPS = 200  # messages of 9.7 and 9.8; the original's 1000 show no more

MakeCase = Callable[[], Case]


def _message(
    number: str, opcode: int, size: int, fragment: int | None = None, chop: int | None = None
) -> Case:
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    pieces = range(0, size, fragment or size)
    sends = b"".join(
        frame(
            CONT if start else opcode,
            payload[start : start + (fragment or size)],
            fin=start == pieces[-1],
        )
        for start in pieces
    )
    echo = text(payload) if opcode == TEXT else binary(payload)
    return Case(number=number, sends=sends, chop=chop, expects=(echo,))


def _many(number: str, opcode: int, size: int) -> Case:
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    echo = text(payload) if opcode == TEXT else binary(payload)
    return Case(
        number=number, sends=frame(opcode, payload) * ROUNDTRIPS, expects=(echo,) * ROUNDTRIPS
    )


def _all() -> Iterator[tuple[str, MakeCase]]:
    sizes = (64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB)
    fragments = (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)
    chops = (64, 128, 256, 512, KIB, 2 * KIB)
    for offset, opcode in enumerate((TEXT, BINARY)):
        for number, size in enumerate(sizes, 1):
            name = f"9.{1 + offset}.{number}"
            yield name, partial(_message, name, opcode, size)
        for number, fragment in enumerate(fragments, 1):
            name = f"9.{3 + offset}.{number}"
            yield name, partial(_message, name, opcode, 4 * MIB, fragment)
        for number, chop in enumerate(chops, 1):
            name = f"9.{5 + offset}.{number}"
            yield name, partial(_message, name, opcode, MIB, chop=chop)
        for number, size in enumerate((0, 16, 64, 256, KIB, 4 * KIB), 1):
            name = f"9.{7 + offset}.{number}"
            yield name, partial(_many, name, opcode, size)
    yield "10.1.1", partial(_message, "10.1.1", TEXT, 64 * KIB, 1300)


CASES = dict(_all())
