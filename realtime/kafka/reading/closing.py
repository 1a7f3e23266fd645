"""Ends aiokafka's clients in bounded time although Kafka does not answer, and leaves nothing open.

Their `stop()` waits for the answers to what was sent, up to 40 s, and does nothing when it is
called again. A call of it that is cancelled leaves tasks behind, which go on and connect anew. So
those are ended here, one by one, with private parts of aiokafka. They were read in 0.14.0; a test
fails when they change (tests/realtime/kafka/test_closing.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from shardlayer import take_note

CLOSING = 1.0  # seconds for what fails when its connection is closed
_BOOTSTRAP = AIOKafkaClient.bootstrap.__code__


async def cancel_start(starting: asyncio.Task[None]) -> None:
    """Cancel the start of a client, and wait until it has ended.

    aiokafka forgets the connection that it asks first when it is cancelled while it waits for the
    answer (`AIOKafkaClient.bootstrap`). So that one is closed before.
    """
    while not starting.done():  # `asyncio.wait_for` may miss a cancellation
        _close_first(starting)
        starting.cancel()
        await asyncio.wait([starting], timeout=CLOSING)
    take_note(starting)


def _close_first(starting: asyncio.Task[None]) -> None:
    waits: Any = starting.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None)
        if frame is not None and frame.f_code is _BOOTSTRAP:
            connection = frame.f_locals.get("bootstrap_conn")
            if connection is not None:
                connection.close()
        waits = getattr(waits, "cr_await", None)


async def close_consumer(consumer: AIOKafkaConsumer, *, grace: float) -> bool:
    """Leave the group and close the connections; return whether Kafka took part in it.

    After `grace` seconds the connections are closed under it, which fails whatever waits for an
    answer: the request to leave, and a commit that is under way. To cancel them instead would leave
    the task in which aiokafka commits behind (it shields it), whose error nobody would fetch.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    stopping.add_done_callback(take_note)  # of requests that are failed below, say
    done, _ = await asyncio.wait([stopping], timeout=grace)
    if done and not stopping.cancelled():
        stopping.result()
        return True
    if done:  # it left the group, and then fell over a fetch that waited for its next try
        await _end_fetches(consumer)
        await consumer._client.close()
        return True
    await consumer._client.close()  # stop() would do it last
    done, _ = await asyncio.wait([stopping], timeout=CLOSING)
    if not done:
        stopping.cancel()
        await asyncio.wait([stopping])
        coordinator, fetcher = consumer._coordinator, consumer._fetcher
        if coordinator is not None:
            await asyncio.wait(
                [
                    asyncio.ensure_future(coordinator._stop_heartbeat_task()),
                    asyncio.ensure_future(coordinator._stop_commit_offsets_refresh_task()),
                ]
            )
        if fetcher is not None:
            await asyncio.wait([asyncio.ensure_future(fetcher.close())])
            await _end_fetches(consumer)
    await consumer._client.close()  # what was connected anew meanwhile
    return False


async def close_connections(consumer: AIOKafkaConsumer) -> None:
    """Close what a request connected anew since the consumer was closed: aiokafka lets it."""
    await consumer._client.close()


async def _end_fetches(consumer: AIOKafkaConsumer) -> None:
    """End all fetches: aiokafka's fetcher ends at the first that was cancelled while it slept."""
    fetches = [task for task in consumer._fetcher._pending_tasks if not task.done()]
    for task in fetches:
        task.cancel()
    if fetches:
        await asyncio.wait(fetches)


async def close_producer(producer: AIOKafkaProducer, *, grace: float) -> None:
    """Close the connections; what was not written after `grace` seconds never is."""
    stopping = asyncio.ensure_future(producer.stop())
    stopping.add_done_callback(take_note)  # of what was not written
    done, _ = await asyncio.wait([stopping], timeout=grace)
    if not done:
        stopping.cancel()
        await asyncio.wait([stopping])
        if producer._sender is not None:
            await asyncio.wait([asyncio.ensure_future(producer._sender.close())])
        await producer.client.close()
