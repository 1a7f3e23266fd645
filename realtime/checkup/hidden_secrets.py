"""Keeps the secrets of the settings out of what is shown.

The checks' own words have no secrets. But they show errors of libraries as well, which may quote
what they were given. So every text is searched for the secrets of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.conf import settings

HIDDEN = "…"
SHORTEST = 4  # characters; what is shorter is part of any text

_NAMES = re.compile(r"pass|secret|token|private|credential|api_?key|_keys?$|^keys?$", re.IGNORECASE)
_SETTINGS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASES", "CHANNEL_LAYERS", "REALTIME")


def without_secrets(text: str) -> str:
    """Return a text with each secret of the settings replaced by `…`."""
    for secret in sorted(set(_secrets()), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets() -> Iterator[str]:
    for name in _SETTINGS:
        for secret in _within(getattr(settings, name, None), is_secret=name.startswith("SECRET")):
            plain = unquote(secret)
            for form in (secret, quote(secret, safe=""), plain, _escaped(secret), _escaped(plain)):
                if len(form) >= SHORTEST:
                    yield form


def _within(value: object, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _within(entry, is_secret=is_secret or bool(_NAMES.search(str(key))))
    elif isinstance(value, list | tuple | set):
        for entry in value:
            yield from _within(entry, is_secret=is_secret)
    elif isinstance(value, bytes):
        yield from _within(value.decode("latin-1"), is_secret=is_secret)
    elif isinstance(value, str):
        if is_secret:
            yield value
        elif "://" in value:
            yield from _of_url(value)


def _of_url(url: str) -> Iterator[str]:
    _, _, rest = url.partition("://")
    login = rest.rpartition("@")[0]
    yield login.partition(":")[2]  # also where the password is not quoted
    try:
        parts = urlsplit(url)
        yield parts.password or ""
    except ValueError:
        return
    for name, value in parse_qsl(parts.query):  # redis-py takes `?password=` as well
        if _NAMES.search(name):
            yield value


def _escaped(text: str) -> str:
    """Return a text as errors quote it by `repr`, without the quotes around it."""
    return repr(text)[1:-1]
