"""When the next message is published."""

from __future__ import annotations

import asyncio
import time

from benchmarks.emitter import Emitter
from benchmarks.stamps import ACK, stamped


async def one_by_one(
    emitter: Emitter,
    acks: asyncio.StreamReader,
    *,
    first: int,
    burst: int,
    size: int,
    seconds: float,
    patience: float,
) -> dict[str, float]:
    """Publish bursts (of one or more), each when all clients have got all of the one before.

    So a server never has two bursts to join, and the rate is what server and clients can do.

    Args:
        emitter: Open.
        acks: The number of the last message of each burst that arrived.
        first: The number of the first message.
        burst: Messages in each burst.
        size: Bytes of each message.
        seconds: Duration; the last burst may end after it. There is one burst at least.
        patience: Seconds to wait for a burst to arrive. After that the slice ends, `stalled`.
    """
    number = first
    started = time.monotonic()
    stalled = False
    while number == first or (not stalled and time.monotonic() - started < seconds):
        await emitter.publish(
            [stamped(number + i, time.monotonic_ns(), size) for i in range(burst)]
        )
        number += burst
        try:
            await asyncio.wait_for(_arrival(acks, number - 1), patience)
        except TimeoutError:
            stalled = True
    return {
        "published": number - first,
        "stalled": stalled,
        "late_ms": 0.0,
    }


async def _arrival(acks: asyncio.StreamReader, number: int) -> None:
    """Wait for an ack; one that came after an earlier wait was given up is passed over."""
    while ACK.unpack(await acks.readexactly(ACK.size)) != (number,):
        pass


async def steadily(
    emitter: Emitter, *, first: int, size: int, rate: float, seconds: float
) -> dict[str, float]:
    """Publish `rate` messages a second for `seconds`, whether or not the clients keep up.

    `late_ms` is how much later than planned the latest was published. A plan that was missed is
    caught up with, not skipped, so the number of messages is always the same.
    """
    count = round(rate * seconds)
    late = 0.0
    started = time.monotonic()
    for i in range(count):
        planned = started + i / rate
        await asyncio.sleep(max(0.0, planned - time.monotonic()))
        late = max(late, time.monotonic() - planned)
        await emitter.publish([stamped(first + i, time.monotonic_ns(), size)])
    return {
        "published": count,
        "stalled": False,
        "late_ms": late * 1e3,
    }
