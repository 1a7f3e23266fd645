"""Publishing with a transaction: never before its commit, and never at the request's expense."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.db import transaction
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import apublish_on_commit, on_commit, publish_on_commit
from realtime.models import OutboxEntry
from realtime.on_commit import OnCommitCounters
from realtime.sharded_layer import sharded_layer
from shardlayer import MessageTooLarge, Throttle
from tests.realtime.conftest import channel_layers
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    """Rolls a transaction back."""


def roll_back(room: str, data: object, *, outbox: bool = False) -> None:
    """Publish in a transaction that is rolled back."""
    with suppress(Undo), transaction.atomic():
        publish_on_commit(room, data, outbox=outbox)
        raise Undo


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnCommitCounters]:
    """Counters that begin at 0; nothing is under way at the end."""
    fresh = OnCommitCounters()
    monkeypatch.setattr(on_commit, "counters", fresh)
    monkeypatch.setattr(on_commit, "_complaint", Throttle())  # an earlier test may have complained
    yield fresh
    wait_until(lambda: not fresh.waiting)
    asyncio.run(sharded_layer().close())


@pytest.fixture
def redis(
    settings: Settings, redis_server: EmbeddedValkey, counters: OnCommitCounters
) -> EmbeddedValkey:
    """A real server behind the default layer."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    return redis_server


@pytest.fixture
def no_redis(settings: Settings, counters: OnCommitCounters) -> None:
    """A layer whose server is away."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=8.0
    )


def history(room: str = "orders") -> list[object]:
    """Return what a room's history holds."""

    async def read() -> list[object]:
        return [json.loads(each.data) for each in await sharded_layer().history(room)]

    return asyncio.run(read())


@pytest.mark.usefixtures("redis")
def test_publications_wait_for_the_commit_and_keep_their_order(counters: OnCommitCounters) -> None:
    """Nothing is published before, nor after a rollback; later changes of the data do not count."""
    data = {"number": 0}
    with transaction.atomic():
        for number in range(100):
            data["number"] = number
            publish_on_commit("orders", data)
        assert history() == []
    roll_back("orders", {"number": "undone"})
    publish_on_commit("orders", {"number": 100})  # no transaction: at once
    wait_until(lambda: counters.published == 101)
    assert history() == [{"number": number} for number in range(101)]
    assert (counters.failed, counters.dropped, len(counters.waiting)) == (0, 0, 0)


@pytest.mark.usefixtures("no_redis")
def test_request_neither_waits_nor_fails_while_redis_is_away(
    counters: OnCommitCounters, caplog: pytest.LogCaptureFixture
) -> None:
    """The callbacks behind it run. What is lost is counted, and logged."""
    ran = []
    with caplog.at_level(logging.ERROR, "realtime.on_commit"):
        with transaction.atomic():
            for number in range(50):
                publish_on_commit("orders", number)
            transaction.on_commit(lambda: ran.append("later"))
        assert ran == ["later"]
        assert len(counters.waiting) == 50  # Redis is not given up yet: nobody has waited for it
        wait_until(lambda: counters.failed == 50)
    assert "may be lost" in caplog.text


@pytest.mark.usefixtures("no_redis")
def test_too_many_that_wait(counters: OnCommitCounters, settings: Settings) -> None:
    """MAX_ON_COMMIT_WAITING bounds what is under way; what is more is dropped and counted."""
    settings.REALTIME = {"MAX_ON_COMMIT_WAITING": 3}
    for number in range(5):
        publish_on_commit("orders", number)
    assert counters.dropped == 2
    wait_until(lambda: counters.failed == 3)
    settings.REALTIME = {"MAX_ON_COMMIT_WAITING": 0}
    for number in range(5):
        publish_on_commit("orders", number)
    assert counters.dropped == 2


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("outbox", [False, True])
def test_bad_input_is_told_to_the_caller(outbox: bool) -> None:
    """Before the commit: a view's mistake is not lost in the background."""
    with pytest.raises(ValueError, match="room"):
        publish_on_commit("no room!", 1, outbox=outbox)
    with pytest.raises(ValueError, match="own rooms"):
        publish_on_commit("realtime-control", 1, outbox=outbox)
    with pytest.raises(TypeError, match="JSON"):
        publish_on_commit("orders", object(), outbox=outbox)
    with pytest.raises(MessageTooLarge):
        publish_on_commit("orders", "x" * 2_000_000, outbox=outbox)
    assert OutboxEntry.objects.count() == 0


@pytest.mark.usefixtures("no_redis")
def test_outbox_is_written_with_the_transaction() -> None:
    """Redis has no part in it; a rollback takes it back."""
    roll_back("orders", 1, outbox=True)
    assert OutboxEntry.objects.count() == 0
    with transaction.atomic():
        publish_on_commit("orders", {"é": "\0"}, outbox=True)
    (entry,) = OutboxEntry.objects.all()
    assert (entry.layer, entry.room, entry.batch, entry.failed_at) == (
        "default",
        "orders",
        None,
        None,
    )
    assert json.loads(entry.data) == {"é": "\0"}


@pytest.mark.usefixtures("redis")
def test_asynchronous_code(counters: OnCommitCounters) -> None:
    """It is published in the background, or written into the outbox."""

    async def view() -> None:
        await apublish_on_commit("orders", 1)
        await apublish_on_commit("orders", 2, outbox=True)

    asyncio.run(view())
    wait_until(lambda: counters.published == 1)
    assert history() == [1]
    assert OutboxEntry.objects.get().data == "2"
