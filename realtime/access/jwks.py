"""Public keys of an issuer of JWTs, by their ids, from an address (RFC 7517).

They are fetched in a thread, when the first token needs one, and kept. A token that names a key
which is not there has them fetched again, since issuers change their keys. That happens only once
in a while, whatever names strangers make up. If the address does not answer, the known keys stay
valid.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from shardlayer import Throttle

logger = logging.getLogger(__name__)

FETCH_TIMEOUT: Final = 5.0  # seconds
KEPT_FOR: Final = 3_600.0  # seconds after which keys are fetched again, by the next token
FETCH_PAUSE: Final = 30.0  # seconds between two fetches, whatever tokens name
MAX_DOCUMENT: Final = 256 * 1024  # bytes
MAX_KEYS: Final = 100

Fetch = Callable[[str], bytes]


class NoSuchKey(Exception):
    """The issuer has no key of that id, as far as is known; or none at all was ever fetched."""


class _NoRedirects(HTTPRedirectHandler):
    """Follows nobody: the settings say where the keys are."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetch(url: str) -> bytes:
    """Return what is at an address; blocks.

    Raises:
        OSError: It can't be had in FETCH_TIMEOUT.
        ValueError: It is larger than MAX_DOCUMENT.
    """
    until = time.monotonic() + FETCH_TIMEOUT
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 (settings check it)
    with build_opener(_NoRedirects()).open(request, timeout=FETCH_TIMEOUT) as answer:
        parts, size = [], 0
        while part := answer.read1(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > MAX_DOCUMENT:
                raise ValueError(f"{url} has more than {MAX_DOCUMENT:,} bytes.")
            if time.monotonic() > until:
                raise TimeoutError(f"{url} takes more than {FETCH_TIMEOUT:g} s.")
    return b"".join(parts)


class KeySet:
    """The keys of one address, for one event loop.

    Args:
        url: Where they are.
        read_key: Makes a key of a JWK; raises for one that is of another kind.
        fetch: Gets the document; runs in a thread.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        url: str,
        read_key: Callable[[Mapping[str, Any]], Any],
        *,
        fetch: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._read_key = read_key
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._complaint = Throttle()

    async def key(self, kid: str | None) -> Any:
        """Return the key of an id; of a token that names none, the only one that there is.

        Raises:
            NoSuchKey: There is none.
        """
        now = self._clock()
        is_stale = now - self._fetched > KEPT_FOR
        if (is_stale or self._find(kid) is None) and now - self._tried > FETCH_PAUSE:
            self._tried = now
            self._fetching = asyncio.create_task(self._refresh(), name="realtime: fetch keys")
        found, fetching = self._find(kid), self._fetching
        if found is None and fetching is not None:
            await asyncio.shield(fetching)  # others wait for it as well
            found = self._find(kid)
        if found is None:
            raise NoSuchKey("The issuer has no such key.")
        return found

    def _find(self, kid: str | None) -> Any:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _refresh(self) -> None:
        try:
            document = orjson.loads(await asyncio.to_thread(self._fetch, self._url))
            self._keys = self._read(document)
            self._fetched = self._clock()
        except Exception as error:
            if self._complaint.is_due():
                logger.error("The keys of JWTs can't be fetched from %s: %s", self._url, error)
        finally:
            self._fetching = None

    def _read(self, document: Any) -> dict[str, Any]:
        keys: dict[str, Any] = {}
        for index, jwk in enumerate(document["keys"][:MAX_KEYS]):
            try:
                if jwk.get("use", "sig") == "sig":
                    keys[str(jwk.get("kid", f"\0{index}"))] = self._read_key(jwk)
            except Exception as error:  # a key for another algorithm, mostly
                logger.debug("A key of %s is left out: %s", self._url, error)
        return keys
