"""Cases 6: text that is UTF-8, and text that isn't.

From 6.5 on the sequences are those of Markus Kuhn's decoder stress test, which the original
takes too: http://www.cl.cam.ac.uk/~mgk25/ucs/examples/UTF-8-test.txt
"""

from __future__ import annotations

from tests.server.autobahn.case import INVALID_TEXT, Case, text
from tests.server.client import CONT, TEXT, frame

_KOSME = "κόσμε".encode()
_INVALID = (INVALID_TEXT,)
_LAST_BYTES_MISSING = (
    "c0 | e0 80 | f0 80 80 | f8 80 80 80 | fc 80 80 80 80 | "
    "df | ef bf | f7 bf bf | fb bf bf bf | fd bf bf bf bf"
)


def _lonely(first: int, end: int) -> str:
    return " ".join(f"{start:02x} 20" for start in range(first, end))


def _non_characters() -> str:
    planes = [plane << 16 | low for plane in range(1, 17) for low in (0xFFFE, 0xFFFF)]
    return " | ".join(chr(point).encode().hex(" ") for point in (0xFFFE, 0xFFFF, *planes))


# Per section, from 6.5 on: whether the sequences are valid, and the sequences. A section with
# both kinds has an x before each invalid one.
_SEQUENCES: tuple[tuple[bool, str], ...] = (
    (
        True,  # 6.5: some valid sequences
        "68656c6c6f 24 776f726c64 | 68656c6c6f c2a2 776f726c64 | 68656c6c6f e282ac 776f726c64 |"
        "68656c6c6f f0a4ada2 776f726c64 | " + _KOSME.hex(),
    ),
    (
        True,  # 6.6: all prefixes of a valid text
        " | ".join(
            ("" if _is_text else "x") + _KOSME[:end].hex()
            for end in range(1, len(_KOSME) + 1)
            for _is_text in [_KOSME[:end].decode(errors="ignore").encode() == _KOSME[:end]]
        ),
    ),
    (True, "00 | c2 80 | e0 a0 80 | f0 90 80 80"),  # 6.7: first of a length
    (False, "f8 88 80 80 80 | fc 84 80 80 80 80"),  # 6.8: of 5 and 6 bytes
    (True, "7f | df bf | ef bf bf | f4 8f bf bf"),  # 6.9: last of a length
    (False, "f7 bf bf bf | fb bf bf bf bf | fd bf bf bf bf bf"),  # 6.10
    (True, "ed 9f bf | ee 80 80 | ef bf bd | f4 8f bf bf | xf4 90 80 80"),  # 6.11: boundaries
    (
        False,  # 6.12: unexpected continuation bytes
        "80 | bf | 80 bf | 80 bf 80 | 80 bf 80 bf | 80 bf 80 bf 80 | 80 bf 80 bf 80 bf |"
        + bytes(range(0x80, 0xBF)).hex(),
    ),
    (
        False,  # 6.13: lonely start bytes
        " | ".join(
            _lonely(*ends)
            for ends in (
                (0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD),
            )
        ),
    ),
    (False, _LAST_BYTES_MISSING),  # 6.14
    (False, _LAST_BYTES_MISSING.replace("|", "")),  # 6.15: all of them concatenated
    (False, "fe | ff | fe fe ff ff"),  # 6.16: impossible bytes
    (False, "c0 af | e0 80 af | f0 80 80 af | f8 80 80 80 af | fc 80 80 80 80 af"),  # 6.17
    (False, "c1 bf | e0 9f bf | f0 8f bf bf | f8 87 bf bf bf | fc 83 bf bf bf bf"),  # 6.18
    (False, "c0 80 | e0 80 80 | f0 80 80 80 | f8 80 80 80 80 | fc 80 80 80 80 80"),  # 6.19
    (
        False,  # 6.20: single surrogates
        "ed a0 80 | ed ad bf | ed ae 80 | ed af bf | ed b0 80 | ed be 80 | ed bf bf",
    ),
    (
        False,  # 6.21: paired surrogates
        "eda080 edb080 | eda080 edbfbf | edadbf edb080 | edadbf edbfbf |"
        "edae80 edb080 | edae80 edbfbf | edafbf edb080 | edafbf edbfbf",
    ),
    (True, _non_characters()),  # 6.22
    (True, "efbfb9 | efbfba | efbfbb | efbfbc | efbfbd | efbfbe | efbfbf"),  # 6.23: specials
)  # fmt: skip


def _fragments(*payloads: bytes) -> bytes:
    last = len(payloads) - 1
    return b"".join(
        frame(CONT if number else TEXT, payload, fin=number == last)
        for number, payload in enumerate(payloads)
    )


def _octets(payload: bytes) -> bytes:
    return _fragments(*(payload[at : at + 1] for at in range(len(payload))))


def _by_hand() -> list[Case]:
    greeting = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    surrogate = _KOSME + bytes.fromhex("eda080") + b"edited"
    too_high = bytes.fromhex("f4908080")
    whole = frame(TEXT, _KOSME + too_high + b"edited")
    header = len(whole) - len(_KOSME + too_high + b"edited")
    return [
        Case(number="6.1.1", sends=frame(TEXT), expects=(text(b""),)),
        Case(number="6.1.2", sends=_fragments(b"", b"", b""), expects=(text(b""),)),
        Case(
            number="6.1.3",
            sends=_fragments(b"", b"middle frame payload", b""),
            expects=(text(b"middle frame payload"),),
        ),
        Case(number="6.2.1", sends=frame(TEXT, greeting), expects=(text(greeting),)),
        Case(
            number="6.2.2",
            sends=_fragments(greeting[:12], greeting[12:]),
            expects=(text(greeting),),
        ),
        Case(number="6.2.3", sends=_octets(greeting), expects=(text(greeting),)),
        Case(number="6.2.4", sends=_octets(_KOSME), expects=(text(_KOSME),)),
        Case(number="6.3.1", sends=frame(TEXT, surrogate), fails=_INVALID),
        Case(number="6.3.2", sends=_octets(surrogate), fails=_INVALID),
        # 6.4.1 and 6.4.2 send no third fragment: the error must be found in the second.
        Case(
            number="6.4.1",
            sends=frame(TEXT, _KOSME, fin=False) + frame(CONT, too_high, fin=False),
            fails=_INVALID,
        ),
        Case(
            number="6.4.2",
            sends=frame(TEXT, _KOSME + too_high[:1], fin=False)
            + frame(CONT, too_high[1:2], fin=False),
            fails=_INVALID,
        ),
        # Within one frame the original asks for more than the RFC: here the frame is completed.
        Case(number="6.4.3", sends=whole, chop=header + len(_KOSME), fails=_INVALID),
        Case(number="6.4.4", sends=whole, chop=header + len(_KOSME) + 1, fails=_INVALID),
    ]


def _sequences() -> list[Case]:
    cases = []
    for section, (valid, sequences) in enumerate(_SEQUENCES, 5):
        for number, sequence in enumerate(sequences.split("|"), 1):
            payload = bytes.fromhex(sequence.strip().removeprefix("x"))
            is_text = valid and not sequence.strip().startswith("x")
            cases.append(
                Case(
                    number=f"6.{section}.{number}",
                    sends=frame(TEXT, payload),
                    expects=(text(payload),) if is_text else (),
                    fails=() if is_text else _INVALID,
                )
            )
    return cases


CASES = [*_by_hand(), *_sequences()]
