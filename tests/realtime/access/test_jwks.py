"""An issuer's public keys, from a real server on this machine."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from realtime.access.jwks import FETCH_PAUSE, KEPT_FOR, MAX_DOCUMENT, KeySet, NoSuchKey, fetch
from tests.waiting import PATIENCE


class Issuer:
    """An HTTP server with a document.

    Attributes:
        status: Of its answers.
        body: Of its answers.
        headers: More of them.
        asked: How often it was asked.
    """

    def __init__(self) -> None:
        issuer = self
        self.status, self.body, self.asked = 200, b"", 0
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.gate.wait(PATIENCE)
                self.send_response(issuer.status)
                for name, value in issuer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(issuer.body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks"

    def has(self, *kids: str) -> None:
        """Publish keys of these ids."""
        self.body = json.dumps({"keys": [{"kid": kid, "kty": "x"} for kid in kids]}).encode()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running issuer."""
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.gate.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def keys_of(issuer: Issuer, clock: Clock) -> KeySet:
    """Return the issuer's keys; a key is its id."""
    return KeySet(issuer.url, lambda jwk: jwk["kid"], clock=clock)


async def test_is_asked_once(issuer: Issuer) -> None:
    """A hundred tokens at once, and those that follow, need one request."""
    issuer.has("a", "b")
    keys = keys_of(issuer, Clock())
    assert await asyncio.gather(*(keys.key("a") for _ in range(100))) == ["a"] * 100
    assert await keys.key("b") == "b"
    assert issuer.asked == 1


async def test_new_key_is_found(issuer: Issuer) -> None:
    """An issuer changes its keys: an unknown one has them fetched again, but not at once."""
    clock = Clock()
    issuer.has("a")
    keys = keys_of(issuer, clock)
    await keys.key("a")
    issuer.has("a", "b")
    with pytest.raises(NoSuchKey):
        await keys.key("b")
    clock.now += FETCH_PAUSE + 1
    assert await keys.key("b") == "b"
    assert issuer.asked == 2


async def test_made_up_keys_ask_nobody(issuer: Issuer) -> None:
    """Whoever sends a thousand names has the issuer asked once."""
    issuer.has("a")
    keys = keys_of(issuer, Clock())
    for number in range(1_000):
        with pytest.raises(NoSuchKey):
            await keys.key(f"made up {number}")
    assert issuer.asked == 1


async def test_keys_outlive_an_issuer_that_is_away(issuer: Issuer) -> None:
    """What is known goes on counting while the address answers nothing, or rubbish."""
    clock = Clock()
    issuer.has("a")
    keys = keys_of(issuer, clock)
    await keys.key("a")
    for status, body in ((500, b""), (200, b"<html>"), (200, b"{}"), (200, b'{"keys": 7}')):
        issuer.status, issuer.body = status, body
        asked = issuer.asked
        clock.now += KEPT_FOR + 1
        assert await keys.key("a") == "a"
        async with asyncio.timeout(PATIENCE):
            while issuer.asked == asked:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)


async def test_taken_back_key_goes(issuer: Issuer) -> None:
    """A key that the issuer no longer publishes counts no longer than keys are kept."""
    clock = Clock()
    issuer.has("a")
    keys = keys_of(issuer, clock)
    await keys.key("a")
    issuer.has("b")
    clock.now += KEPT_FOR + 1
    await keys.key("b")
    with pytest.raises(NoSuchKey):
        await keys.key("a")


async def test_token_without_a_name(issuer: Issuer) -> None:
    """It is signed by the only key; with several there is no telling."""
    issuer.has("a")
    assert await keys_of(issuer, Clock()).key(None) == "a"
    issuer.has("a", "b")
    with pytest.raises(NoSuchKey):
        await keys_of(issuer, Clock()).key(None)


async def test_keys_of_another_kind_are_left_out(issuer: Issuer) -> None:
    """One that can't be read, or is for encryption, spoils none of the others."""
    issuer.body = json.dumps(
        {"keys": [{"use": "enc", "kid": "e"}, {}, 7, {"kid": "a", "use": "sig"}]}
    ).encode()
    keys = keys_of(issuer, Clock())
    assert await keys.key("a") == "a"
    with pytest.raises(NoSuchKey):
        await keys.key("e")


async def test_fetching_blocks_no_loop(issuer: Issuer) -> None:
    """An issuer that is slow holds up those who wait for it, and nobody else."""
    issuer.has("a")
    issuer.gate.clear()
    keys = keys_of(issuer, Clock())
    waiting = asyncio.create_task(keys.key("a"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    waiting.cancel()  # its client went away; the fetch goes on for the others
    other = asyncio.create_task(keys.key("a"))
    await asyncio.sleep(0)
    issuer.gate.set()
    assert await asyncio.wait_for(other, PATIENCE) == "a"
    assert issuer.asked == 1


def test_document_is_bounded(issuer: Issuer) -> None:
    """A megabyte is not read."""
    issuer.body = b"x" * (MAX_DOCUMENT + 1)
    with pytest.raises(ValueError, match="more than"):
        fetch(issuer.url)


def test_nobody_is_followed(issuer: Issuer) -> None:
    """A redirect, to inside of the network perhaps, is an error."""
    issuer.status, issuer.headers = 302, {"Location": issuer.url}
    with pytest.raises(OSError, match="302"):
        fetch(issuer.url)
    assert issuer.asked == 1


def test_slow_answer_ends(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it drips, the thread is not held for longer than the limit."""
    monkeypatch.setattr("realtime.access.jwks.FETCH_TIMEOUT", 0.2)
    issuer.gate.clear()
    began = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 (of the system's words)
        fetch(issuer.url)
    assert time.monotonic() - began < 5
