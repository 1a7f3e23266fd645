"""The head of the request that asks for a WebSocket, read.

websockets' parser decides what is a good head and says what is wrong with a bad one. It reads line
by line through generators, so heads of the ordinary form, which is nearly every one, are recognised
by one regular expression and split here; both ways give the same.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS, Request
from websockets.streams import StreamReader

_is_ordinary = re.compile(
    rb"GET [!-~]++ HTTP/1\.1\r\n"
    rb"(?:[-!#$%&'*+.^_`|~0-9a-zA-Z]++:[\t\x20-\x7e\x80-\x84\x86-\xff]*+\r\n)*+"  # RFC 9110, 5.5
    rb"\r\n"
).fullmatch

# NEL ends a line for Python's `str.splitlines`, and so for whoever logs or parses headers as text.
# Daphne refuses it for HTTP; the control characters that do the same are refused by either parser.
_NEL = b"\x85"

# Names of headers as they are sent, and in lower case: what nearly each handshake has. Shared, they
# save 400 bytes per connection.
_COMMON_SPELLINGS = {
    spelling: lower
    for lower in (
        b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control",
        b"connection", b"cookie", b"host", b"origin", b"pragma", b"sec-fetch-dest",
        b"sec-fetch-mode", b"sec-fetch-site", b"sec-websocket-extensions", b"sec-websocket-key",
        b"sec-websocket-protocol", b"sec-websocket-version", b"upgrade", b"user-agent",
        b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
        b"x-real-ip",
    )
    for spelling in (lower, lower.title(), lower.title().replace(b"Websocket", b"WebSocket"))
}  # fmt: skip
COMMON_NAMES = frozenset(_COMMON_SPELLINGS.values())

# What ServerProtocol looks at.
_OF_HANDSHAKE = {
    name.lower().encode(): name
    for name in (
        "Connection", "Origin", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Upgrade",
    )
}  # fmt: skip


class BadHead(Exception):
    """What was sent is no head of a request.

    Its text is for the client and has no part of what the client sent: an answer that repeats a
    header is a place to put something into somebody else's page or log.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head(NamedTuple):
    """A request without its body.

    Attributes:
        target: What is asked for, percent-encoded.
        headers: All headers in order, with their names in lower case.
        values: Their values by name; the last one of a name that comes several times.
        parsed: The request as websockets read it; None if it did not have to.
    """

    target: str
    headers: list[tuple[bytes, bytes]]
    values: dict[bytes, bytes]
    parsed: Request | None = None

    def request(self) -> Request:
        """Return the request for `ServerProtocol`; it may have only those headers it looks at."""
        if self.parsed is not None:
            return self.parsed
        headers = Headers()
        for name, value in self.headers:
            if name in _OF_HANDSHAKE:
                headers[_OF_HANDSHAKE[name]] = value.decode("latin-1")
        return Request(self.target, headers)


def read_head(data: bytes) -> Head:
    """Return the head, which ends with its blank line.

    Raises:
        BadHead: If it is malformed.
    """
    return read_ordinary(data) or read_any(data)


def read_ordinary(data: bytes) -> Head | None:
    """Return the head if it has the ordinary form, which says nothing against it if not."""
    # A head that is no longer than a line may be has no line that is too long.
    if len(data) > MAX_LINE_LENGTH or not _is_ordinary(data):
        return None
    first, *lines = data[:-4].split(b"\r\n")
    if len(lines) > MAX_NUM_HEADERS:
        return None
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((_COMMON_SPELLINGS.get(name) or name.lower(), value.strip(b" \t")))
    values = dict(headers)
    if b"content-length" in values or b"transfer-encoding" in values:
        return None  # they announce a body, which Request.parse refuses
    return Head(first[4:-9].decode("ascii"), headers, values)


def read_any(data: bytes) -> Head:
    """Return the head as websockets reads it; raise BadHead if it can't."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    try:
        next(Request.parse(reader.read_line))
    except StopIteration as parsed:
        request: Request = parsed.value
    except RequestLineTooLong as error:
        raise BadHead(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long") from error
    except (HeaderLineTooLong, TooManyHeaders) as error:
        text = "a header is too long, or there are too many"
        raise BadHead(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text) from error
    except Exception as error:  # EOFError, ValueError and others: see Request.parse
        raise BadHead(HTTPStatus.BAD_REQUEST, "the request's head is malformed") from error
    headers = []
    for text, value in request.headers.raw_items():
        name = text.lower().encode("ascii")
        headers.append((_COMMON_SPELLINGS.get(name, name), value.encode("latin-1")))
    if any(_NEL in value for _, value in headers):
        raise BadHead(HTTPStatus.BAD_REQUEST, "the request's head is malformed")
    return Head(request.path, headers, dict(headers), request)
