"""One task for each key."""

from __future__ import annotations

import asyncio

from shardlayer.aio.keyed_tasks import KeyedTasks
from shardlayer.aio.tasks import Tasks


async def test_second_task_for_a_key_is_not_begun_while_the_first_runs() -> None:
    """Another key's is; and once it has ended, the next one is, even in the same turn."""
    owner = Tasks()
    tasks: KeyedTasks[int] = KeyedTasks(owner)
    begun: list[str] = []
    may_end = asyncio.Event()

    async def work(name: str) -> None:
        begun.append(name)
        await may_end.wait()

    tasks.supervise(1, lambda: work("first"), "first")
    tasks.supervise(1, lambda: work("second"), "second")
    tasks.supervise(2, lambda: work("other"), "other")
    await asyncio.sleep(0)
    assert begun == ["first", "other"]
    may_end.set()
    await tasks.wait()
    await tasks.wait()  # for none
    tasks.supervise(1, lambda: work("third"), "third")
    await tasks.wait()
    assert begun == ["first", "other", "third"]
    await owner.aclose()


async def test_end_of_a_task_leaves_the_next_one_alone() -> None:
    """One that is begun when the last has ended, before anybody was told, is waited for."""
    owner = Tasks()
    tasks: KeyedTasks[int] = KeyedTasks(owner)
    may_end = asyncio.Event()

    async def end() -> None:
        pass

    tasks.supervise(1, end, "first")
    first = tasks._running[1]
    await asyncio.wait([first])
    tasks.supervise(1, may_end.wait, "second")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert tasks._running[1] is not first
    may_end.set()
    await tasks.wait()
    await owner.aclose()
