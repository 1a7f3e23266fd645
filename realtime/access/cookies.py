"""One cookie of a handshake, read in time that grows with the header's length and no faster.

`http.cookies` of Python before 3.11.10 and 3.12.6 takes the square of that for a value with many
backslashes (CVE-2024-7592), and Django reads all values with it. A stranger's 16 KiB took 0.2 s of
the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_ESCAPED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


def cookie_of(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """Return the value of a cookie; None if there is none, or it is empty.

    As in Django, the last one of a header counts; of several headers the first that has one.

    Args:
        headers: Of an ASGI scope.
        name: The cookie's name.
    """
    for header, text in headers:
        if header == b"cookie":
            value = ""
            for part in text.decode("latin-1").split(";"):
                key, equals, said = part.partition("=")
                if equals and key.strip() == name:
                    value = said.strip()
            if value := _unquoted(value):
                return value
    return None


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])
