"""The loop of a layer's background thread, and its end."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from demo.embedded import EmbeddedValkey
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.background import Background
from shardlayer.layer.engine import Engine
from tests.waiting import PATIENCE, wait_until


def make_engine() -> Engine:
    """Return an engine on the running loop, with its shards in memory."""
    options = LayerOptions(hosts=(Host(url=f"memory://{uuid4().hex}"),))
    return Engine(options, lambda: None, process="p", on_turned=lambda *_: None)


def test_loop_that_is_told_to_stop_again_is_closed() -> None:
    """By whoever closes the layer, and by the collector, when it finds that nobody has it."""
    background = Background(make_engine)
    engine = background.engine()
    begun: list[int] = []
    done: list[int] = []

    async def end_slowly() -> None:
        begun.append(1)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            background.stop()
            for _ in range(3):
                await asyncio.sleep(0)
            done.append(1)

    asyncio.run_coroutine_threadsafe(end_slowly(), engine.loop)
    wait_until(lambda: begun)
    background.stop()
    wait_until(lambda: background.is_over)
    assert done == [1]


def test_loop_that_no_descriptors_are_left_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that wait for it raise that, and the next one gets a loop."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"], history={"*": {"size": 9}})
    make, errors = asyncio.new_event_loop, list[OSError]()

    def fail_once() -> asyncio.AbstractEventLoop:
        if threading.current_thread().name == "shardlayer":
            monkeypatch.setattr(asyncio, "new_event_loop", make)
            raise OSError(errno.EMFILE, "Too many open files")
        return make()

    def publish() -> None:
        try:
            layer.publish_sync("room", b"1")
        except OSError as error:
            errors.append(error)

    monkeypatch.setattr(asyncio, "new_event_loop", fail_once)
    threading.Thread(target=publish, daemon=True).start()
    wait_until(lambda: errors)
    assert errors[0].errno == errno.EMFILE
    position = layer.publish_sync("room", b"1")
    assert position is not None
    assert position.offset == 1
    async_to_sync(layer.close)()


def test_task_that_begins_in_the_turn_that_stops_the_loop_is_cancelled() -> None:
    """As another thread's call may do it: it ends before the loop is closed."""
    background = Background(make_engine)
    loop = background.engine().loop
    stop, late = loop.stop, list[asyncio.Task[object]]()

    def begin_and_stop() -> None:
        if len(late) < 2:  # the one that winds up, and the one that ends that
            late.append(loop.create_task(asyncio.Event().wait()))
        stop()

    loop.stop = begin_and_stop  # type: ignore[method-assign]
    background.stop()
    wait_until(lambda: background.is_over)
    assert [task.cancelled() for task in late] == [True, True]


def test_call_that_reaches_the_loop_just_before_it_is_closed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread has the loop, stands still until it has wound up, and then asks it."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"])
    loops: list[asyncio.AbstractEventLoop] = []
    outcomes: list[BaseException | None] = []
    layer.publish_soon("room", b"1", told=lambda _: loops.append(asyncio.get_running_loop()))
    wait_until(lambda: loops)
    loop = loops[0]
    close, call_soon = loop.close, loop.call_soon_threadsafe
    has_loop, winds_up, has_asked = threading.Event(), threading.Event(), threading.Event()

    def publish() -> None:
        layer.publish_soon("room", b"2", told=outcomes.append)

    asking = threading.Thread(target=publish, daemon=True)

    def ask(callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:
        if threading.current_thread() is not asking:
            return call_soon(callback, *args, **options)
        has_loop.set()
        assert winds_up.wait(PATIENCE)
        handle = call_soon(callback, *args, **options)
        has_asked.set()
        return handle

    def close_once_asked() -> None:
        winds_up.set()
        assert has_asked.wait(PATIENCE)
        close()

    monkeypatch.setattr(loop, "call_soon_threadsafe", ask)
    monkeypatch.setattr(loop, "close", close_once_asked)
    asking.start()
    assert has_loop.wait(PATIENCE)
    async_to_sync(layer.close)()
    wait_until(lambda: outcomes)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]


def test_one_that_raises_when_it_is_told_keeps_it_from_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And who finds the loop closed is told by its error alone."""
    background = Background(make_engine)
    engine = background.engine()
    outcomes: list[BaseException | None] = []
    close = engine.loop.close

    def fail(_: BaseException | None) -> None:
        raise ValueError("not told")

    async def work() -> None:
        raise AssertionError

    def begin_and_close() -> None:
        engine.begin(work, fail)
        engine.begin(work, outcomes.append)
        close()
        with pytest.raises(RuntimeError):
            engine.begin(work, fail)

    engine.loop.close = begin_and_close  # type: ignore[method-assign]
    background.stop()
    wait_until(lambda: outcomes)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]
    assert caplog.text.count("ValueError: not told") == 1


@pytest.mark.parametrize("turns", range(4))
def test_close_that_is_cancelled_ends_the_thread(redis_server: EmbeddedValkey, turns: int) -> None:
    """After any number of turns: what waits is sent, and then the loop ends by itself."""
    layer = ShardedChannelLayer(hosts=[redis_server.url])
    told: list[BaseException | None] = []
    layer.publish_soon("room", b"1", told=told.append)
    background = layer._engines._process.background
    assert background is not None

    async def close() -> None:
        closing = asyncio.create_task(layer.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        await layer.close()

    asyncio.run(close())
    wait_until(lambda: background.is_over)
    assert told == [None]


def test_call_that_begins_as_the_layer_is_closed_is_done_there(
    redis_server: EmbeddedValkey,
) -> None:
    """`close` waits for what the loop took on before, and leaves no other loop behind."""
    layer = ShardedChannelLayer(hosts=[redis_server.url])
    layer.publish_sync("room", b"1")
    background = layer._engines._process.background
    assert background is not None
    goes_on = threading.Event()
    told: list[BaseException | None] = []
    background.engine().loop.call_soon_threadsafe(goes_on.wait, PATIENCE)
    layer.publish_soon("room", b"2", told=told.append)

    async def close() -> None:
        closing = asyncio.create_task(layer.close())
        await asyncio.sleep(0)
        goes_on.set()
        await closing

    asyncio.run(close())
    assert told == [None]
    assert layer._engines._process.background is None
