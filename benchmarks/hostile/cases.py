"""What is sent: good conversations with something wrong in them; pure, decided by a seed.

A case is the bytes of one connection, write by write. Half of them are a good conversation whose
bytes were changed by chance. The other half are well-formed and mean something that nobody should
mean: Hypothesis makes them up.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Case = list[bytes]

_COMMANDS = ("connect", "subscribe", "unsubscribe", "publish", "history", "presence", "ping")
_FIELDS = ("room", "offset", "epoch", "data", "key", "limit", "before", "token", "note")
_PATHS = ("/", "/ws/", "/ws/?room=a", "/ws/?room=a&room=%ff", "/health/live", "/health/ready")
_METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get", "X" * 40)
_HEADERS = (
    *("Host", "Origin", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie", "Content-Type", "Expect"),
    *("Content-Length", "Transfer-Encoding", "X-Forwarded-For", "Daphne-Root-Path", "X_Y"),
)
_MASK = b"\x01\x02\x03\x04"
_LONGEST = 70_000  # bytes of a payload: more than the app takes, less than the server


def cases(number: int, count: int, host: str) -> list[Case]:
    """Return so many cases for a server at `host`; the same ones for the same number."""
    chance = random.Random(number)
    half = count // 2
    found = _made_up(number, half, host)
    # Hypothesis may find fewer that differ than were asked for.
    found += [_changed(_good(chance, host), chance) for _ in range(count - len(found))]
    chance.shuffle(found)
    return found


def handshake(host: str, path: str = "/ws/") -> bytes:
    """Return a good opening handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(opcode: int, payload: bytes, *, first: int = 0x80, masked: bool = True) -> bytes:
    """Return a frame as a client sends it; `first` are the bits beside the opcode."""
    bit, length = 0x80 if masked else 0, len(payload)
    if length < 126:
        head = bytes((first | opcode, bit | length))
    elif length < 65_536:
        head = bytes((first | opcode, bit | 126)) + length.to_bytes(2)
    else:
        head = bytes((first | opcode, bit | 127)) + length.to_bytes(8)
    if not masked:
        return head + payload
    key = (_MASK * (length // 4 + 1))[:length]
    body = (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)
    return head + _MASK + body


def text(value: object) -> bytes:
    """Return a frame with JSON text."""
    return frame(1, json.dumps(value).encode())


# Good conversations, changed by chance.


def _good(chance: random.Random, host: str) -> Case:
    match chance.randrange(6):
        case 0:
            return [_request(host, chance.choice(("/", "/health/live", "/nowhere")))]
        case 1:
            body = b"a=1&b=2" * chance.randrange(1, 2_000)
            kind = chance.choice(("application/x-www-form-urlencoded", "multipart/form-data"))
            return [_request(host, "/", "POST", (("Content-Type", kind),), body)]
        case 2:
            return [handshake(host, "/ws/?room=a&room=b"), frame(9, b"ping"), frame(8, b"\x03\xe8")]
        case _:
            commands = [_command(chance, number) for number in range(1, chance.randrange(2, 12))]
            return [handshake(host), *map(text, commands)]


def _request(
    host: str,
    path: str,
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _command(chance: random.Random, number: int) -> dict[str, object]:
    room = chance.choice(("a", "b", f"r{chance.randrange(1_000)}"))
    match chance.randrange(5):
        case 0:
            return {"id": number, "subscribe": [{"room": room}, {"room": "c"}]}
        case 1:
            return {"id": number, "subscribe": {"room": room, "offset": 0, "epoch": ""}}
        case 2:
            return {"id": number, "publish": {"room": "open", "data": "x" * chance.randrange(99)}}
        case 3:
            return {"id": number, "history": {"room": room, "limit": chance.randrange(1, 999)}}
        case _:
            return {"id": number, "connect": {"token": "of nobody"}}


def _changed(case: Case, chance: random.Random) -> Case:
    """Return a case with some bytes that are others, missing, doubled, or there too early."""
    joined = bytearray(b"".join(case))
    # Two of three keep the handshake, so that what follows is read.
    start = len(case[0]) if len(case) > 1 and chance.randrange(3) else 0
    for _ in range(chance.choice((0, 1, 1, 2, 8, 64))):
        at = chance.randrange(start, len(joined)) if start < len(joined) else start
        length = chance.choice((1, 1, 2, 16))
        match chance.randrange(5):
            case 0:
                joined[at : at + length] = chance.randbytes(length)
            case 1:
                del joined[at : at + length]
            case 2:
                joined[at:at] = joined[start : start + length * 8]
            case 3:
                joined[at:at] = chance.choice(
                    (b"\r\n", b"\0", b"\xff" * 9, b"\r\n\r\n", b" ", b":")
                )
            case _:
                del joined[at:]
    cuts = sorted(chance.randrange(len(joined) + 1) for _ in range(chance.randrange(3)))
    ends = zip([0, *cuts], [*cuts, len(joined)], strict=True)
    return [bytes(joined[begin:end]) for begin, end in ends if end > begin]


# Well-formed ones that mean too much.


def _made_up(number: int, count: int, host: str) -> list[Case]:
    found: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases(host))
    def collect(case: Case) -> None:
        found.append(case)

    if count:
        collect()
    return found[:count]


def _cases(host: str) -> st.SearchStrategy[Case]:
    numbers = st.integers() | st.floats() | st.sampled_from((0, -1, 2**53, 2**64, 10**400))
    rooms = st.sampled_from(("a", "b", "open", "user.1", "", "*", "a" * 100)) | st.text(max_size=8)
    leaves = st.none() | st.booleans() | numbers | rooms | st.text(max_size=40)
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    )
    bodies = st.dictionaries(st.sampled_from(_FIELDS), leaves | values, max_size=6)
    named = st.fixed_dictionaries({"room": rooms}, optional={"data": values, "key": leaves})
    command = st.sampled_from(_COMMANDS)
    messages = (
        st.builds(
            lambda id, name, body: json.dumps({"id": id, name: body}).encode(),
            st.integers(1, 99) | leaves,
            command,
            bodies | named | st.lists(named | bodies, max_size=9) | values,
        )
        | st.builds(lambda value: json.dumps(value).encode(), values)
        | st.builds(lambda depth: b"[" * depth, st.integers(1, 5_000))
        | st.builds(
            lambda rooms: json.dumps(
                {"id": 1, "subscribe": [{"room": f"{n}"} for n in range(rooms)]}
            ).encode(),
            st.integers(1, 3_000),
        )
        | st.binary(max_size=200)
        | st.builds(lambda size: b"x" * size, st.integers(1, _LONGEST))
    )
    frames = st.builds(
        lambda opcode, payload, first, masked: frame(opcode, payload, first=first, masked=masked),
        st.sampled_from((1, 1, 1, 1, 1, 1, 0, 2, 8, 9, 10, 3, 15)),
        messages,
        st.sampled_from((0x80, 0x80, 0x80, 0x80, 0x00, 0xC0, 0xF0)),
        st.sampled_from((True, True, True, True, True, False)),
    )
    conversations = st.builds(
        lambda path, frames: [handshake(host, path), *frames],
        st.sampled_from(("/ws/", "/ws/", "/ws/?room=a")),
        st.lists(frames, min_size=1, max_size=8),
    )
    characters = st.characters(max_codepoint=255, exclude_characters="\r\n")
    heads = st.builds(
        lambda method, path, headers, body: [_request(host, path, method, headers, body)],
        st.sampled_from(_METHODS),
        st.sampled_from(_PATHS) | st.text(st.characters(min_codepoint=33, max_codepoint=255)),
        st.lists(
            st.tuples(st.sampled_from(_HEADERS), st.text(characters, max_size=60)), max_size=9
        ),
        st.binary(max_size=300),
    )
    handshakes = st.builds(
        lambda name, value: [
            handshake(host)[:-2] + name.encode() + b": " + value.encode("latin-1") + b"\r\n\r\n"
        ],
        st.sampled_from(_HEADERS),
        st.text(characters, max_size=300),
    )
    return conversations | conversations | heads | handshakes
