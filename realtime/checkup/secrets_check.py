"""Whether secrets are hard to guess, and safe on the network. No finding shows a secret.

A system check looks at the keys of JWTs (`realtime/access/jwt_checks.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from django.conf import settings

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.checkup.our_layers import our_servers
from realtime.conf import conf
from shardlayer import Host

SHORTEST_KEY = 50  # characters, as Django's own security.W009
_MADE_BY_DJANGO = "django-insecure-"
_NEW_KEY = (
    "Make a new one: python -c 'from django.core.management.utils import get_random_secret_key; "
    "print(get_random_secret_key())', and keep it out of the repository."
)


def check_secrets(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what strangers could guess or read on the way."""
    found = [*_of_django(), *_of_redis(), *_of_kafka()]
    yield from found
    if not found:
        words = "fits development" if settings.DEBUG else "is long enough"
        yield ok(
            f"SECRET_KEY {words}; Redis on other machines needs a login, and no login to Kafka "
            "goes unencrypted."
        )


def _of_django() -> Iterator[Finding]:
    if settings.DEBUG:
        return
    key = settings.SECRET_KEY
    if key.startswith(_MADE_BY_DJANGO) or len(key) < SHORTEST_KEY:
        yield fault(
            "Strangers may guess SECRET_KEY, which signs sessions, tokens and orders to workers: "
            f"it is shorter than {SHORTEST_KEY} characters, or startproject made it.",
            _NEW_KEY,
        )


def _of_redis() -> Iterator[Finding]:
    for host, _ in our_servers():
        if not is_near(host) and not _is_locked(host):
            yield warning(
                f"{host.address} is reached without a password: whoever reaches it can read and "
                "publish everything.",
                "Set 'requirepass' or an ACL there and the password in 'hosts'; use rediss:// "
                "where others share the network.",
            )


def _of_kafka() -> Iterator[Finding]:
    configured = conf()
    if configured.kafka_sasl_mechanism and not configured.kafka_tls:
        yield warning(
            "The login to Kafka goes over the network unencrypted.",
            "Set KAFKA_TLS to True, unless the network is yours alone.",
        )


def is_near(host: Host) -> bool:
    """Tell whether a server is on this machine, where others can't listen on the way."""
    if host.master_name:
        return False
    if host.is_unix or host.hostname == "localhost":
        return True
    try:
        return ip_address(host.hostname).is_loopback
    except ValueError:
        return False


def _is_locked(host: Host) -> bool:
    named = {"password", "credential_provider", "username", "ssl_certfile"} & set(host.arguments)
    return bool(named) or "@" in host.url or "password=" in host.url
