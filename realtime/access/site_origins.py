"""Origins as browsers write them, and patterns of them as settings do: values, without settings.

An origin is `scheme://host` or `scheme://host:port` (RFC 6454 6.2). A browser writes nothing else,
but for `null`, which is the origin of every page that has none. So what has a path, a user or a
space is nobody's, however a lenient reader of URLs would take it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PORTS: Final = {"http": 80, "https": 443}  # that a browser leaves out

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?"
)


class SiteOrigin(NamedTuple):
    """Whose page it is.

    Attributes:
        scheme: In lower case.
        host: A name in lower case, or an IPv6 address in brackets; `*.` before a name in a pattern
            stands for any name below it.
        port: None where the scheme has no usual port and none is named.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for several."""
        return self.host.startswith("*.")

    def is_of(self, pattern: SiteOrigin) -> bool:
        """Return whether this is the pattern's origin, or one of those it stands for."""
        if (self.scheme, self.port) != (pattern.scheme, pattern.port):
            return False
        if pattern.is_pattern:
            return self.host.endswith(pattern.host[1:])
        return self.host == pattern.host


def site_origin(text: str) -> SiteOrigin | None:
    """Return the origin, or the pattern of some, that a text is; None if it is none."""
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or not text.isascii():
        return None
    scheme, port = found["scheme"], found["port"]
    number = int(port) if port else _PORTS.get(scheme)
    if number is not None and not 0 < number < 65_536:
        return None
    return SiteOrigin(scheme, found["host"], number)
