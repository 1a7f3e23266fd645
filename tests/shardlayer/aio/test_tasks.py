"""Long-lived tasks go on after whatever is raised in them, and it is known that they failed."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest

from shardlayer.aio import tasks as module
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.memory.memory_broker import MemoryBackend
from shardlayer.delivery.sweeper import Sweeper
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until


class Worker:
    """Work that raises its first `failures` times, and counts how often it was begun."""

    def __init__(self, failures: int) -> None:
        self.begun = 0
        self._failures = failures

    async def work(self) -> None:
        """Raise, or work on."""
        await self.once()
        await asyncio.Event().wait()

    async def once(self) -> None:
        """Raise, or be done."""
        self.begun += 1
        if self.begun <= self._failures:
            raise LookupError(f"run {self.begun}")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test, not of a server room."""
    monkeypatch.setattr(module, "RESTART_FIRST", 0.001)


async def test_supervised_task_is_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises, and as often as it does; the log says so, with a traceback."""
    tasks, worker = Tasks(), Worker(failures=3)
    tasks.supervise(worker.work, "digger")
    await until(lambda: worker.begun == 4)
    first = next(record for record in caplog.records if record.name == "shardlayer.aio.tasks")
    assert first.levelno == logging.ERROR
    assert "digger" in first.getMessage()
    assert first.exc_info is not None
    assert isinstance(first.exc_info[1], LookupError)
    await tasks.aclose()


async def test_supervised_task_fails_until_it_has_run_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That it was begun again is not enough to call it well."""
    tasks, worker = Tasks(), Worker(failures=1)
    tasks.supervise(worker.work, "digger")
    assert tasks.failing == []
    await until(lambda: worker.begun == 2)
    assert tasks.failing == ["digger"]
    monkeypatch.setattr(module, "STEADY", 0.05)
    await until(lambda: tasks.failing == [])
    await tasks.aclose()


async def test_what_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is not lost with it; that it was cancelled is none."""
    tasks, worker = Tasks(), Worker(failures=1)
    await asyncio.wait([tasks.spawn(worker.once(), "digger")])
    tasks.spawn(worker.work(), "sleeper")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert caplog.messages == ["digger: failed."]
    assert caplog.records[0].exc_info is not None


async def test_closed_branch_is_forgotten() -> None:
    """A part that ends leaves nothing behind in the tasks of the whole."""
    tasks, worker = Tasks(), Worker(failures=1_000)
    branch = tasks.branch()
    branch.supervise(worker.once, "digger")
    await until(lambda: tasks.failing == ["digger"])
    await branch.aclose()
    assert tasks.failing == []
    assert tasks._branches == []


async def test_pauses_grow_while_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a bound; a task that raises at once does not keep the loop busy."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(module, "RESTART_FIRST", 0.1)
    monkeypatch.setattr("shardlayer.aio.tasks.asyncio.sleep", sleep)
    worker = Worker(failures=2_000)
    task = Tasks().supervise(worker.once, "digger")
    await task
    assert 0.05 <= pauses[0] <= 0.1
    assert 0.1 <= pauses[1] <= 0.2
    assert all(5 <= pause <= 10 for pause in pauses[7:])
    assert len(pauses) == 2_000


async def test_supervised_task_may_end() -> None:
    """Work that returns is done, and fails no more."""
    tasks, worker = Tasks(), Worker(failures=1)
    await tasks.supervise(worker.once, "digger")
    assert worker.begun == 2
    assert tasks.failing == []


async def test_repeated_work_fails_until_it_succeeds() -> None:
    """Each round is tried after the pause, whatever became of the last one."""
    tasks, worker = Tasks(), Worker(failures=2)
    seen: list[list[str]] = []

    def pause() -> float:
        seen.append(tasks.failing)
        return 0.0

    tasks.repeat(worker.once, "digger", pause=pause, first=0.0)
    await until(lambda: len(seen) >= 4)
    assert seen[:4] == [["digger"], ["digger"], [], []]
    await tasks.aclose()


async def test_owner_knows_what_fails_in_its_branches() -> None:
    """One place lists it for all; a part that closed fails no more."""
    owner = Tasks()
    part = owner.branch().branch()
    part.repeat(Worker(failures=1_000_000).once, "digger", pause=lambda: 0.001, first=0.0)
    await until(lambda: owner.failing == ["digger"])
    await part.aclose()
    assert owner.failing == []


@pytest.mark.parametrize("method", ["supervise", "repeat"])
async def test_closing_ends_a_failing_task(method: str) -> None:
    """In its pause as well as in its work."""
    tasks = Tasks()
    worker = Worker(failures=1_000_000)
    if method == "repeat":
        task = tasks.repeat(worker.once, "digger", pause=lambda: 60.0, first=0.0)
    else:
        task = tasks.supervise(worker.once, "digger")
    await until(lambda: worker.begun)
    await tasks.aclose()
    assert task.cancelled()


async def _raise(*_: object, **__: object) -> None:
    raise LookupError("made up")


@pytest.mark.parametrize(
    ("method", "task"),
    [
        ("renew", "first leases"),
        ("positions", "position checks"),
        ("claim_sweep", "sweeper"),
        ("report", "report members"),
        ("await_messages", "queue checks"),
    ],
)
async def test_layer_says_which_task_fails(
    method: str,
    task: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In `failing_tasks` by name and in `stats()` as a number, and only until it works again."""
    broken: Callable[..., Awaitable[None]] | None = _raise
    original = getattr(MemoryBackend, method)

    async def maybe(*arguments: object, **keywords: object) -> object:
        return await (broken or original)(*arguments, **keywords)

    monkeypatch.setattr(MemoryBackend, method, maybe)
    monkeypatch.setattr(module, "STEADY", 0.05)
    defaults = {**(Sweeper.__init__.__kwdefaults__ or {}), "interval": 0.01}
    monkeypatch.setattr(Sweeper.__init__, "__kwdefaults__", defaults)
    layer = ShardedChannelLayer(
        hosts=["memory://test_layer_says_which_task_fails"],
        position_check_interval=0.05,
        members_interval=0.05,
        queue_check_interval=0.05,
    )
    node = await layer.node()
    await node.join("room", RecordingSink())
    receiving = asyncio.create_task(layer.receive("a-normal-channel"))
    await until(lambda: any(name.startswith(task) for name in layer.failing_tasks))
    assert layer.stats()["failing_tasks"] == len(layer.failing_tasks) > 0
    broken = None
    await until(lambda: not layer.failing_tasks)
    assert layer.stats()["failing_tasks"] == 0
    receiving.cancel()
    await asyncio.wait([receiving])
    await layer.close()


async def test_error_of_a_shared_task_that_nobody_waits_for_is_dropped() -> None:
    """Those who wait get it. When all of them were cancelled, asyncio does not complain."""
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks, may_fail = Tasks(), asyncio.Event()

    async def fail() -> None:
        await may_fail.wait()
        raise LookupError("too late")

    async def wait() -> None:
        await asyncio.shield(tasks.share(fail(), "digger"))

    gone, stays = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    may_fail.set()
    with pytest.raises(LookupError):
        await stays
    del gone, stays
    gc.collect()
    assert complaints == []
