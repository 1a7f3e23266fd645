"""Receivers of one channel on one event loop, of which some are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.broker.values import Queued
from shardlayer.channels.mailbox import Mailbox
from tests.waiting import PATIENCE, until

EXPIRES = 2**62  # ms of the backend's clock
EXPIRY = 600.0  # seconds; longer than any test


class Queue:
    """A channel's queue, whose first fetch is answered only when the test says so."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.fetches = 0
        self.first: asyncio.Future[Queued | None] = asyncio.get_running_loop().create_future()

    async def fetch(self) -> Queued | None:
        """Take the oldest message."""
        self.fetches += 1
        if self.fetches == 1:
            return await self.first
        return Queued(self.messages.pop(0), EXPIRES) if self.messages else None

    async def restore(self, queued: Queued) -> None:
        """Put a message back."""
        self.messages.insert(0, queued.message)


async def cancel(receiving: asyncio.Task[bytes]) -> None:
    """Cancel a receiver that has got nothing, and wait for its end."""
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving


@pytest.mark.parametrize("kind", ["sent", "of a group"])
async def test_receiver_that_is_cancelled_behind_another_ones_fetch_wakes_the_next(
    kind: str,
) -> None:
    """It was woken for a message, and waits for what a cancelled receiver took, which is none."""
    queue = Queue()
    mailbox = Mailbox(
        "tasks",
        capacity=100,
        expiry=EXPIRY,
        fetch=queue.fetch,
        restore=queue.restore,
        is_new=False,
    )
    receivers = [asyncio.create_task(mailbox.get()) for _ in range(4)]
    await until(lambda: queue.fetches == 1)
    first, second, *others = receivers
    await cancel(first)
    assert not mailbox.is_empty, "its fetch goes on"
    if kind == "sent":
        queue.messages.append(b"message")
        mailbox.wake()
    else:
        mailbox.deliver(b"message")
    await asyncio.sleep(0)  # the second is woken, and waits for that fetch
    await cancel(second)
    queue.first.set_result(None)
    done, waiting = await asyncio.wait(
        others, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
    )
    assert [receiving.result() for receiving in done] == [b"message"]
    for receiving in waiting:
        await cancel(receiving)
