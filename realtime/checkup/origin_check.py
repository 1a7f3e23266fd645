"""Whose pages may connect: those of the site must be able to, and those of any site should not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings

from realtime.access.origins import is_allowed
from realtime.access.site_origins import site_origin
from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.conf import conf

_ADD = "Add its host to ALLOWED_HOSTS, or the origin to REALTIME['ORIGINS'] if it is another site."


def check_origin(asked: CheckRequest) -> Iterator[Finding]:
    """Yield which pages are refused, and whether any are let in that should not be."""
    if asked.origin:
        yield _asked_for(asked.origin)
        return
    hosts = list(settings.ALLOWED_HOSTS)
    if not hosts and not settings.DEBUG:
        yield fault(
            "ALLOWED_HOSTS is empty: every page and every WebSocket is refused.",
            "Set ALLOWED_HOSTS to the names under which browsers reach this site.",
        )
        return
    if "*" in hosts:
        yield warning(
            "ALLOWED_HOSTS has '*': pages of any site may connect with the cookies of your users.",
            "List the names of this site instead.",
        )
    refused = [
        origin
        for origin in getattr(settings, "CSRF_TRUSTED_ORIGINS", ())
        if not is_allowed(_example(origin).encode())
    ]
    for origin in refused:
        yield warning(f"Pages of {origin} may post forms, but may not connect.", _ADD)
    if not refused and "*" not in hosts:
        pages = [*(hosts or ["localhost"]), *conf().origins]
        yield ok(f"Pages of {', '.join(pages)} may connect, and no others.")


def _asked_for(origin: str) -> Finding:
    text = origin.rstrip("/")
    if site_origin(text) is None:
        return fault(
            f"{origin!r} is not an origin.",
            "Write it as scheme://host or scheme://host:port, such as https://shop.example.",
        )
    if is_allowed(text.encode()):
        return ok(f"Pages of {text} may connect.")
    return fault(f"Pages of {text} may not connect.", _ADD)


def _example(origin: str) -> str:
    """Return an origin that a pattern such as `https://*.shop.example` stands for."""
    parts = urlsplit(origin)
    return f"{parts.scheme}://{parts.netloc.replace('*', 'www', 1)}"
