"""Commands in order on one connection, through loss, silence and cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis import calls
from shardlayer.broker.redis.command_link import close
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.pipeline import Execute, Pipeline
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect
from shardlayer.core.types import NodeId
from tests.waiting import until

TIMEOUT = 3.0  # seconds; two tests wait it out


@pytest.fixture
async def pipeline(redis_server: EmbeddedValkey) -> AsyncIterator[Pipeline]:
    """A pipeline to an empty server."""
    redis = connect(Host(url=redis_server.url), timeout=TIMEOUT)
    pipeline = Pipeline(redis, timeout=TIMEOUT)
    yield pipeline
    await pipeline.aclose()
    await close(redis)


async def connections(pipeline: Pipeline) -> int:
    """Return how many connections the server has."""
    return len((await pipeline.execute([("CLIENT", "LIST")]))[0].splitlines())


async def test_replies_are_read_as_redis_py_reads_them(pipeline: Pipeline) -> None:
    """Dicts of INFO and HGETALL, the cursor of SCAN, errors by their class."""
    await pipeline.execute([("HSET", "h", "a", 1), ("SET", "s", b"\x00\xff")])
    info, hash_, scan, binary, error = await pipeline.execute(
        [("INFO", "server"), ("HGETALL", "h"), ("SCAN", 0), ("GET", "s"), ("EVALSHA", "0" * 40, 0)]
    )
    assert info["tcp_port"] > 0
    assert hash_ == {b"a": b"1"}
    assert (scan[0], sorted(scan[1])) == (0, [b"h", b"s"])
    assert binary == b"\x00\xff"
    assert isinstance(error, NoScriptError)


async def test_concurrent_callers_share_one_connection_in_order(pipeline: Pipeline) -> None:
    """A thousand calls that start at once are executed as they were put, over one connection."""
    numbers = await asyncio.gather(*(pipeline.execute([("INCR", "n")]) for _ in range(1_000)))
    assert numbers == [[number] for number in range(1, 1_001)]
    assert await connections(pipeline) == 1


async def test_who_comes_while_the_connection_is_made_waits_behind_others(
    pipeline: Pipeline,
) -> None:
    """One call in each turn of the loop, before, while and after the connection is there."""

    async def call() -> int:
        ((number,),) = [await pipeline.execute([("INCR", "n")])]
        return int(number)

    calls = []
    for _ in range(300):
        calls.append(asyncio.create_task(call()))
        await asyncio.sleep(0)
    assert await asyncio.gather(*calls) == list(range(1, 301))


async def test_cancelled_callers_leave_the_line_to_others(pipeline: Pipeline) -> None:
    """Whoever is cancelled while the connection is made, first or later, holds nobody up."""
    calls = [asyncio.create_task(pipeline.execute([("INCR", "n")])) for _ in range(9)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[1::2] == [[1], [2], [3], [4]]
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])


async def test_reply_longer_than_a_read_arrives_whole(pipeline: Pipeline) -> None:
    """Two megabytes there and back, with a short reply behind them."""
    value = os.urandom(2 * 1_048_576)
    answers = await pipeline.execute([("SET", "big", value), ("GET", "big"), ("ECHO", "end")])
    assert answers == [True, value, b"end"]


async def test_cancelled_call_does_not_shift_the_replies(pipeline: Pipeline) -> None:
    """The reply to a call that is gone is passed over; its command was executed."""
    await pipeline.execute([("SET", "a", "1")])
    calls = [asyncio.create_task(pipeline.execute([("INCR", "a")])) for _ in range(3)]
    await asyncio.sleep(0)  # they have asked
    calls[1].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert (answers[0], answers[2]) == ([2], [4])
    assert isinstance(answers[1], asyncio.CancelledError)


async def test_command_that_can_not_be_written_does_not_shift_the_replies(
    pipeline: Pipeline,
) -> None:
    """Its caller is told, nothing of its call is sent, and others get their own replies."""
    await pipeline.execute([("SET", "a", "1")])
    answers = await asyncio.gather(
        pipeline.execute([("INCR", "a")]),
        pipeline.execute([("INCR", "a"), ("SET", "b", "\ud800")]),
        pipeline.execute([("ECHO", "mine")]),
        pipeline.execute([("GET", "a")]),
        return_exceptions=True,
    )
    assert isinstance(answers[1], UnicodeEncodeError)
    assert [answers[0], *answers[2:]] == [[2], [b"mine"], [b"2"]]


async def test_lost_connection_fails_all_calls_and_the_next_one_connects(
    pipeline: Pipeline, redis_server: EmbeddedValkey
) -> None:
    """Those that wait for a reply are told, not left waiting."""
    (own,) = await pipeline.execute([("CLIENT", "ID")])
    waiting = asyncio.create_task(pipeline.execute([("BLPOP", "nothing", 0), ("PING",)]))
    other: Any = connect(Host(url=redis_server.url), timeout=TIMEOUT)
    assert await other.execute_command("CLIENT", "KILL", "ID", own) == 1
    await close(other)
    with pytest.raises(RedisConnectionError):
        await waiting
    assert await pipeline.execute([("PING",)]) == [True]


async def test_server_that_says_nothing_is_given_up(
    pipeline: Pipeline, redis_server: EmbeddedValkey
) -> None:
    """A stopped process keeps its sockets open: only the timeout tells."""
    await pipeline.execute([("PING",)])
    assert redis_server.pid is not None
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RedisTimeoutError, match="no reply"):
            await pipeline.execute([("PING",)])
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    assert await pipeline.execute([("PING",)]) == [True]


async def test_callers_that_wait_for_a_connection_fail_together(
    pipeline: Pipeline, redis_server: EmbeddedValkey
) -> None:
    """One attempt for all of them, and a new one for who comes later."""
    redis_server.stop()
    answers = await asyncio.gather(
        *(pipeline.execute([("PING",)]) for _ in range(10)), return_exceptions=True
    )
    assert len({id(answer) for answer in answers}) == 1
    assert isinstance(answers[0], RedisConnectionError)
    redis_server.start()
    assert await pipeline.execute([("PING",)]) == [True]
    assert await connections(pipeline) == 1


async def test_close_tells_who_waits(pipeline: Pipeline) -> None:
    """Nothing is left waiting for a reply that nobody reads, and nobody's task is cancelled."""
    await pipeline.execute([("PING",)])
    waiting = asyncio.create_task(pipeline.execute([("BLPOP", "nothing", 0)]))
    await asyncio.sleep(0)  # it has asked
    await pipeline.aclose()
    with pytest.raises(RedisConnectionError, match="was closed"):
        await waiting


class RecordingGreeting:
    """Says what it was asked, waits when told to, and raises what it is given."""

    def __init__(self) -> None:
        self.greeted: list[bool] = []
        self.error: Exception | None = None

    async def __call__(self, execute: Execute, *, again: bool) -> None:
        self.greeted.append(again)
        await execute([("SET", "n", 0), ("PING",)])
        if self.error is not None:
            raise self.error


@pytest.fixture
def greeting() -> RecordingGreeting:
    """What a pipeline does first."""
    return RecordingGreeting()


@pytest.fixture
async def greeted(
    redis_server: EmbeddedValkey, greeting: RecordingGreeting
) -> AsyncIterator[Pipeline]:
    """A pipeline that greets."""
    redis = connect(Host(url=redis_server.url), timeout=TIMEOUT)
    pipeline = Pipeline(redis, timeout=TIMEOUT, greet=greeting)
    yield pipeline
    await pipeline.aclose()
    await close(redis)


async def test_connection_is_greeted_once_before_all_else(
    greeted: Pipeline, greeting: RecordingGreeting
) -> None:
    """And once more when that is asked for; in both cases all who come wait in their order."""
    for again in (False, True):
        calls = []
        for _ in range(100):
            calls.append(asyncio.ensure_future(greeted.ask(("INCR", "n"))))
            await asyncio.sleep(0)
        assert await asyncio.gather(*calls) == list(range(1, 101))
        assert greeting.greeted == [False, True][: again + 1]
        greeted.check_again()
    assert await connections(greeted) == 1


async def test_connection_that_fails_the_second_check_is_kept_for_the_next(
    greeted: Pipeline, greeting: RecordingGreeting
) -> None:
    """What is refused is told to all who wait, and the next caller has it checked again."""
    (own,) = await greeted.execute([("CLIENT", "ID")])
    greeted.check_again()
    greeting.error = ConfigurationError("of another layout")
    for _ in range(2):
        answers = await asyncio.gather(
            *(greeted.ask(("PING",)) for _ in range(3)), return_exceptions=True
        )
        assert answers == [greeting.error] * 3
    greeting.error = None
    assert await greeted.ask(("CLIENT", "ID")) == own
    assert greeting.greeted == [False, True, True, True]


async def test_connection_that_is_deaf_when_checked_again_is_replaced(
    greeted: Pipeline, greeting: RecordingGreeting, redis_server: EmbeddedValkey
) -> None:
    """Whoever came since does not suffer for what the old one had."""
    (own,) = await greeted.execute([("CLIENT", "ID")])
    greeted.check_again()
    assert redis_server.pid is not None
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        asked = asyncio.ensure_future(greeted.ask(("CLIENT", "ID")))
        await until(lambda: len(greeting.greeted) == 2)
        await asyncio.sleep(TIMEOUT)  # the connection is given up
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    assert await asked != own
    assert greeting.greeted == [False, True, False]


async def test_script_that_is_not_known_is_sent(pipeline: Pipeline) -> None:
    """Alone and among others, each reply in its place; what is none of ours is an error."""
    renew = calls.renew(ShardKeys("rt.00"), NodeId("n"), lease_ttl=60.0)
    command = ("EVALSHA", renew.script.sha, len(renew.keys), *renew.keys, *renew.args)
    assert await pipeline.ask(command) == 0
    assert await pipeline.ask(command) == 1
    await pipeline.ask(("SCRIPT", "FLUSH"))
    unknown = ("EVALSHA", "0" * 40, 0)
    before, there, error, behind = await pipeline.execute(
        [("ECHO", "a"), command, unknown, ("ECHO", "b")]
    )
    assert (before, there, behind) == (b"a", 1, b"b")
    assert isinstance(error, NoScriptError)
    with pytest.raises(NoScriptError):
        await pipeline.ask(unknown)
