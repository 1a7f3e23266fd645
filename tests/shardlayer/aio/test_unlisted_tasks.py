"""Tasks that go on when their loop winds up."""

from __future__ import annotations

import asyncio

from shardlayer.aio.unlisted_tasks import unlisted_task


def test_task_outlives_the_cancellation_of_all() -> None:
    """`asyncio.run` cancels the others, and waits for one of them that waits for this."""
    ended: list[str] = []

    async def takes() -> None:
        await asyncio.sleep(0.05)
        ended.append("took")

    async def main() -> None:
        task = unlisted_task(takes(), name="takes")
        assert task not in asyncio.all_tasks()
        assert asyncio.current_task() in asyncio.all_tasks()

        async def waits() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await task
                ended.append("waited")
                raise

        waiting.append(asyncio.create_task(waits()))
        await asyncio.sleep(0)

    waiting: list[asyncio.Task[None]] = []
    asyncio.run(main())
    assert ended == ["took", "waited"]


async def test_result_and_error_are_the_tasks() -> None:
    """As of any other."""

    async def divides(number: int) -> int:
        await asyncio.sleep(0)
        return 6 // number

    assert await unlisted_task(divides(2), name="divides") == 3
    failing = unlisted_task(divides(0), name="fails")
    await asyncio.wait([failing])
    assert isinstance(failing.exception(), ZeroDivisionError)
