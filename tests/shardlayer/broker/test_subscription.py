"""The connection over which a server is heard, as its owner sees it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

import pytest
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError

from demo.embedded import EmbeddedValkey
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.redis import subscription
from shardlayer.broker.redis.subscription import Probe, Subscription
from shardlayer.core.hosts import Host
from tests.shardlayer.fakes import some_turns, stand_still
from tests.waiting import until

LIMIT = 30.0  # seconds
NEVER = 1_000.0  # seconds
STILL = 40.0  # seconds


class StandingEvent(asyncio.Event):
    """Has the process stand still when it is first waited for, until the server has answered."""

    is_first = True

    async def wait(self) -> Literal[True]:
        if self.is_first:
            self.is_first = False
            time.sleep(0.3)  # noqa: ASYNC251 (it is to stand still)
            stand_still(STILL)
        return await super().wait()


class StandingEar(subscription._Ear):
    """Counts its kind."""

    made = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        StandingEar.made += 1
        self.resumed = StandingEvent()


def subscribe(host: Host, told: list[str], tasks: Tasks) -> Subscription:
    """Return a subscription that notes what its owner is told, and whose probe is never due."""

    async def publish() -> None:
        """Nothing."""

    return Subscription(
        host,
        [["channel"]],
        on_message=lambda channel, message: None,
        on_resumed=lambda: told.append("resumed"),
        on_lost=lambda: told.append("lost"),
        timeout=LIMIT,
        probe=Probe(publish, interval=NEVER, timeout=LIMIT),
        tasks=tasks,
    )


async def test_subscription_that_is_confirmed_while_the_loop_stands_still_is_kept(
    redis_server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is over, but the confirmation waits in the socket."""
    told: list[str] = []
    monkeypatch.setattr(StandingEar, "made", 0)
    monkeypatch.setattr(subscription, "_Ear", StandingEar)
    tasks = Tasks()
    subscribed = subscribe(Host(url=redis_server.url), told, tasks)
    await until(lambda: "resumed" in told)
    await some_turns()  # in which it would be closed
    assert told == ["resumed"]
    assert StandingEar.made == 1
    await subscribed.aclose()
    await tasks.aclose()


class StubbornProvider(CredentialProvider):
    """Waits until it is cancelled, and says then, the first time, that it can't be reached.

    Attributes:
        asked: How often it was asked.
    """

    asked = 0

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return nothing."""
        self.asked += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.asked > 1:
                raise
            raise RedisConnectionError("made up") from None
        raise AssertionError


async def test_subscription_whose_cancellation_is_swallowed_is_closed(
    redis_server: EmbeddedValkey,
) -> None:
    """It does not connect again: nobody would cancel it once more."""
    provider, told, tasks = StubbornProvider(), list[str](), Tasks()
    host = Host(url=redis_server.url, arguments={"credential_provider": provider})
    subscribed = subscribe(host, told, tasks)
    await until(lambda: provider.asked)
    try:
        async with asyncio.timeout(LIMIT):
            await subscribed.aclose()
    finally:
        await tasks.aclose()
    assert provider.asked == 1
    assert told == []
