"""Whose pages may connect: those of this site, by ALLOWED_HOSTS, and of the sites in ORIGINS.

A browser sends cookies with a WebSocket that any page opens; its `Origin` header says whose page
it is, and no page can change that header. So it has to be looked at. Channels'
AllowedHostsOriginValidator does that as well, and parses the same origin anew for each client.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlparse

from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

from realtime.access.site_origins import site_origin
from realtime.conf import conf

_REMEMBERED = 256  # origins
_LONGEST_REMEMBERED = 300  # bytes of an origin; a host's name has 253 characters at most


def origin_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the `Origin` header; several are no origin, and empty."""
    found = None
    for name, value in headers:
        if name == b"origin":
            found = value if found is None else b""
    return found


def is_allowed(origin: bytes | None) -> bool:
    """Tell whether pages of this origin may connect, by the settings as they are now."""
    judge = _verdict
    if origin is not None and len(origin) > _LONGEST_REMEMBERED:
        judge = _verdict.__wrapped__  # type: ignore[assignment]  # whoever sends it chooses it
    return judge(origin, tuple(settings.ALLOWED_HOSTS), settings.DEBUG, conf().origins)


@lru_cache(_REMEMBERED)
def _verdict(
    origin: bytes | None, hosts: tuple[str, ...], debug: bool, origins: tuple[str, ...]
) -> bool:
    """Judge by these settings. Of a host, Channels is asked, which reads the first two itself."""
    validator = AllowedHostsOriginValidator(None)
    if origin is None:
        return bool(validator.valid_origin(None))
    text = origin.decode("latin-1")
    if "*" not in hosts:
        site = site_origin(text)
        if site is None or site.is_pattern:
            return False
        if any(site.is_of(pattern) for pattern in map(site_origin, origins) if pattern):
            return True
    try:
        return bool(validator.valid_origin(urlparse(text)))
    except ValueError:  # no URL, such as http://[
        return False
