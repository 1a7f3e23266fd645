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

# What ServerProtocol looks at; and what announces a body, which Request.parse refuses.
_OF_HANDSHAKE = {
    name.lower().encode(): name
    for name in (
        "Connection", "Origin", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Upgrade",
    )
}  # fmt: skip
_OF_BODY = frozenset({b"content-length", b"transfer-encoding"})


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
        request: For `ServerProtocol`; its headers may be only those that it looks at.
        headers: All headers in order, with their names in lower case.
    """

    request: Request
    headers: list[tuple[bytes, bytes]]


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
    checked = Headers()
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        if name in _OF_HANDSHAKE:
            checked[_OF_HANDSHAKE[name]] = value.decode("latin-1")
        elif name in _OF_BODY:
            return None
    return Head(Request(first[4:-9].decode("ascii"), checked), headers)


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
    headers = [
        (name.lower().encode("ascii"), value.encode("latin-1"))
        for name, value in request.headers.raw_items()
    ]
    if any(_NEL in value for _, value in headers):
        raise BadHead(HTTPStatus.BAD_REQUEST, "the request's head is malformed")
    return Head(request, headers)
