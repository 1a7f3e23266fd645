"""JSON Web Tokens (RFC 7519), of whichever issuer, that sign a client in.

The settings say the algorithm and the keys. A token's header chooses among the keys by `kid`, and
nothing else: a token that names another algorithm, or none, is refused (RFC 8725, 3.1).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError

from realtime.access.credential import BadToken, Credential
from realtime.access.identity import canonical_key, key_of
from realtime.access.issuer_clock import IssuerClock
from realtime.access.jwks import KeySet, NoSuchKey
from realtime.access.project_calls import without_stop_iteration
from realtime.conf import Conf, conf
from shardlayer import needs_extra

_is_number = (int, float)


class JwtReader:
    """Reads JWTs by the settings, for one event loop.

    Raises:
        MissingExtra: PyJWT is not installed.
    """

    def __init__(self, settings: Conf) -> None:
        with needs_extra("jwt"):
            import jwt
        self._jwt = jwt
        self._settings = settings
        self._algorithm = settings.jwt_algorithm or ""
        self._clock = IssuerClock()
        self._keys = [self.prepared(key) for key in settings.jwt_keys]
        self._key_set: KeySet | None = None
        if settings.jwt_jwks_url:
            self._key_set = KeySet(settings.jwt_jwks_url, self._key_of_jwk)

    def prepared(self, key: str) -> Any:
        """Return a key of the settings as the algorithm takes it; raises for what is none."""
        return self._jwt.get_algorithm_by_name(self._algorithm).prepare_key(key)

    async def read(self, token: str) -> Credential:
        """Return what a token says. Its length is the caller's to look at.

        Raises:
            BadToken: It signs nobody in.
        """
        try:
            keys = await self._keys_for(token)
        except NoSuchKey as error:
            raise BadToken("The token is not valid.") from error
        payload = self._decoded(token, keys)
        return await self._credential(payload)

    async def _keys_for(self, token: str) -> list[Any]:
        if self._key_set is None:
            return self._keys
        try:
            kid = self._jwt.get_unverified_header(token).get("kid")
        except (self._jwt.PyJWTError, ValueError, RecursionError) as error:
            raise BadToken("The token is not valid.") from error
        return [await self._key_set.key(kid)]

    def _decoded(self, token: str, keys: list[Any]) -> dict[str, Any]:
        """Return the payload; with several keys, the first that fits counts."""
        jwt, settings = self._jwt, self._settings
        failure: Exception | None = None
        for key in keys:
            try:
                payload: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=[self._algorithm],
                    audience=settings.jwt_audience,
                    issuer=settings.jwt_issuer,
                    leeway=settings.jwt_leeway,
                    options={"require": ["exp"], "verify_sub": False},
                )
            except jwt.ExpiredSignatureError as error:
                raise BadToken("The token is too old.") from error
            except jwt.ImmatureSignatureError as error:
                raise BadToken("The token is not valid yet.") from error
            except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
                failure = error
            else:
                return payload
        raise BadToken("The token is not valid.") from failure

    async def _credential(self, payload: Mapping[str, Any]) -> Credential:
        settings = self._settings
        user = payload.get(settings.jwt_user_claim)
        rooms = payload.get(settings.jwt_rooms_claim, [])
        name = payload.get(settings.jwt_name_claim, "")
        if not isinstance(user, str | int) or isinstance(user, bool) or user == "":
            raise BadToken(f"The token has no {settings.jwt_user_claim} that names a user.")
        if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
            raise BadToken(f"The token's {settings.jwt_rooms_claim} must be a list of strings.")
        if settings.jwt_user_field is None:
            key = canonical_key(str(user))  # as whoever signs the user out writes it
        else:
            key = await _key_by(settings.jwt_user_field, user)
        if key is None:
            raise BadToken("The token's user is gone, or may not sign in.")
        return Credential(
            method="jwt",
            user_id=key,
            name=name if isinstance(name, str) else "",
            claims=payload,
            rooms=tuple(rooms),
            issued=self._issued(payload),
            expires=float(payload["exp"]),
        )

    def _issued(self, payload: Mapping[str, Any]) -> float:
        claim = payload.get("iat")
        if not isinstance(claim, _is_number) or claim <= 0:
            return 0.0
        return self._clock.dated(float(claim), time.time())

    def _key_of_jwk(self, jwk: Mapping[str, Any]) -> Any:
        if jwk.get("alg", self._algorithm) != self._algorithm:
            raise ValueError(f"It is for {jwk['alg']}.")
        return self._jwt.PyJWK.from_dict(dict(jwk), algorithm=self._algorithm).key


@database_sync_to_async  # type: ignore[untyped-decorator]
@without_stop_iteration
def _key_by(field: str, value: object) -> str | None:
    """Return the primary key of the user whose field has a value, as text.

    None if it is nobody, or a user who may not sign in.
    """
    try:
        user = get_user_model()._default_manager.get(**{field: value})
    except (ObjectDoesNotExist, MultipleObjectsReturned, ValidationError, ValueError):
        return None
    return key_of(user) if user.is_active else None


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Conf, JwtReader]] = WeakKeyDictionary()


def jwt_reader() -> JwtReader:
    """Return the reader of the running loop, by the settings as they are now.

    Raises:
        MissingExtra: PyJWT is not installed.
    """
    loop, settings = asyncio.get_running_loop(), conf()
    made = _readers.get(loop)
    if made is None or made[0] is not settings:
        made = _readers[loop] = settings, JwtReader(settings)
    return made[1]
