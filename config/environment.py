"""Reads settings from environment variables; pure, so that each rule is a line of a test."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.core.exceptions import ImproperlyConfigured

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return a yes-or-no variable; empty counts as not set.

    Raises:
        ImproperlyConfigured: The value is neither (a typo in DJANGO_DEBUG must not mean "on").
    """
    value = environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on (1) nor off (0).")


def require_secret(value: str, name: str, *, published: Collection[str], shortest: int) -> None:
    """Refuse a secret that is none; the message never shows it.

    Raises:
        ImproperlyConfigured: It is not set, is one that everybody can read in this repository, or
            has less than `shortest` characters.
    """
    if not value:
        raise ImproperlyConfigured(f"{name} must be set when DJANGO_DEBUG is off.")
    if value in published or value.startswith("django-insecure-"):
        raise ImproperlyConfigured(
            f"{name} is one that was published, so it keeps nothing secret; set another. "
            "bin/secrets writes new ones to .env."
        )
    if len(value) < shortest:
        raise ImproperlyConfigured(
            f"{name} has {len(value)} characters; it takes {shortest} or more."
        )


def whole(environ: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a variable that is a whole number above 0; empty counts as not set.

    Raises:
        ImproperlyConfigured: It is something else.
    """
    value = environ.get(name, "").strip()
    if not value:
        return default
    if not value.isdecimal() or int(value) == 0:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number above 0.")
    return int(value)


def count(environ: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a variable that is a whole number, 0 or more; empty counts as not set.

    Raises:
        ImproperlyConfigured: It is something else.
    """
    value = environ.get(name, "").strip()
    return 0 if value == "0" else whole(environ, name, default=default) if value else default


def listed(environ: Mapping[str, str], name: str, *, default: list[str]) -> list[str]:
    """Return the comma-separated parts of a variable, or `default` when it has none."""
    parts = [part.strip() for part in environ.get(name, "").split(",")]
    return [part for part in parts if part] or default


def named(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Return a variable like `worker-1=http://a,worker-2=http://b` as a dictionary, in order.

    Raises:
        ImproperlyConfigured: A part has no `=`.
    """
    pairs = {}
    for part in listed(environ, name, default=[]):
        key, separator, value = part.partition("=")
        if not separator:
            raise ImproperlyConfigured(f"{name}: {part!r} is not of the form name=value.")
        pairs[key.strip()] = value.strip()
    return pairs
