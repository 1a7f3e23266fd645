"""Where the layer's servers are, from environment variables; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.environment import count, flag, listed

DEFAULT = "redis://127.0.0.1:6379"
PRIMARY = "shards"
SENTINEL_PORT = 26379


def redis_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of the layer's CONFIG that says where its servers are.

    Raises:
        ImproperlyConfigured: A variable has a wrong value, or two contradict each other.
    """
    sentinels = listed(environ, "REDIS_SENTINELS", default=[])
    is_cluster = flag(environ, "REDIS_CLUSTER", default=False)
    if sentinels and is_cluster:
        raise ImproperlyConfigured("REDIS_SENTINELS and REDIS_CLUSTER exclude each other.")
    return {
        "hosts": [behind(sentinels, environ)]
        if sentinels
        else listed(environ, "REDIS_URL", default=[DEFAULT]),
        **({"cluster": True} if is_cluster else {}),
        "wait_replicas": count(environ, "REDIS_WAIT_REPLICAS", default=0),
    }


def behind(sentinels: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the host that Sentinels name; REDIS_PASSWORD is that of all of them."""
    password = environ.get("REDIS_PASSWORD", "")
    login = {"password": password} if password else {}
    return {
        "master_name": environ.get("REDIS_PRIMARY") or PRIMARY,
        "sentinels": [place(text) for text in sentinels],
        **login,
        **({"sentinel_kwargs": login} if login else {}),
    }


def place(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `host`.

    Raises:
        ImproperlyConfigured: The port is no number.
    """
    host, _, port = text.partition(":")
    if port and not port.isdecimal():
        raise ImproperlyConfigured(f"REDIS_SENTINELS: {text!r} is not of the form host:port.")
    return host, int(port or SENTINEL_PORT)
