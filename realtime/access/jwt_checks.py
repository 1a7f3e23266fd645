"""System checks of the settings for JWTs: that tokens can be read, and only those that are meant.

| id | what |
|---|---|
| realtime.E009 | JWT_ALGORITHM is set, and there are no keys for it, or two sources of keys |
| realtime.E010 | PyJWT is not installed |
| realtime.E011 | one of JWT_KEYS is no key for JWT_ALGORITHM, or too short a secret |
| realtime.E012 | JWT_USER_FIELD is no field of the user model |
| realtime.W004 | with --deploy: JWT_AUDIENCE or JWT_ISSUER is not set |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist

from realtime.access.jwt_tokens import JwtReader
from realtime.conf import Conf, conf, problems
from shardlayer import MissingExtra

_SHORTEST_SECRET = 32  # bytes, of HS256 (RFC 7518, 3.2)


@register
def check_jwt(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check that JWTs can be read by the settings."""
    if any(problems(getattr(settings, "REALTIME", {}))) or conf().jwt_algorithm is None:
        return []
    return list(_problems(conf()))


@register(Tags.security, deploy=True)
def check_jwt_is_for_us(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of tokens that the issuer has made for somebody else, or that another has made."""
    if any(problems(getattr(settings, "REALTIME", {}))) or conf().jwt_algorithm is None:
        return []
    missing = [
        name
        for name, value in (
            ("JWT_AUDIENCE", conf().jwt_audience),
            ("JWT_ISSUER", conf().jwt_issuer),
        )
        if value is None
    ]
    if not missing:
        return []
    return [
        Warning(
            f"REALTIME has no {' and no '.join(missing)}: tokens that were not made for "
            f"this site are accepted.",
            hint="Set both to what your issuer writes into aud and iss.",
            id="realtime.W004",
        )
    ]


def _problems(settings: Conf) -> Iterator[CheckMessage]:
    algorithm, url = settings.jwt_algorithm, settings.jwt_jwks_url
    if bool(settings.jwt_keys) == bool(url) or (algorithm == "HS256" and url):
        yield Error(
            f"REALTIME['JWT_ALGORITHM'] is {algorithm}, which needs keys from exactly one setting.",
            hint="Set JWT_KEYS for HS256; for RS256 and ES256 either JWT_KEYS or JWT_JWKS_URL.",
            id="realtime.E009",
        )
        return
    try:
        reader = JwtReader(Conf(jwt_algorithm=algorithm))
    except MissingExtra as error:
        yield Error(f"REALTIME['JWT_ALGORITHM'] is {algorithm}: {error}.", id="realtime.E010")
        return
    for number, key in enumerate(settings.jwt_keys, start=1):
        hint = "RS256 and ES256 take public keys in PEM."
        try:
            reader.prepared(key)
            reason = ""
        except Exception as error:  # its text may show the key
            reason = type(error).__name__
        if algorithm == "HS256" and len(key.encode()) < _SHORTEST_SECRET:
            reason = (
                f"a secret for HS256 needs at least {_SHORTEST_SECRET} bytes, or it can be guessed "
                "from one token"
            )
            hint = "Let the issuer use a longer secret, or RS256 or ES256."
        if reason:
            yield Error(
                f"REALTIME['JWT_KEYS'] has a key, number {number}, that is not valid for "
                f"{algorithm}: {reason}.",
                hint=hint,
                id="realtime.E011",
            )
    field = settings.jwt_user_field
    if field is not None:
        try:
            get_user_model()._meta.get_field(field)
        except FieldDoesNotExist as error:
            yield Error(
                f"REALTIME['JWT_USER_FIELD'] is not a field of the user model: {error}",
                hint="Name a field that is unique, such as 'email'.",
                id="realtime.E012",
            )
