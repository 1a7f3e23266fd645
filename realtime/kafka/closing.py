"""Ending a consumer, also one whose Kafka does not answer."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

CLOSING = 1.0  # seconds for what fails when its connection is closed


async def close_consumer(consumer: AIOKafkaConsumer, *, grace: float) -> bool:
    """Leave the group and close the connections; return whether Kafka took part in it.

    `AIOKafkaConsumer.stop` waits for the answers to what it sent, up to 40 s. After `grace`
    seconds the connections are closed under it, which fails whatever waits for an answer: the
    request to leave, and a commit that is under way. To cancel them instead would leave the task
    in which aiokafka commits behind (it shields it), whose error nobody would fetch.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    done, _ = await asyncio.wait([stopping], timeout=grace)
    if done:
        stopping.result()
        return True
    await consumer._client.close()  # stop() would do it last, and does nothing if called again
    done, _ = await asyncio.wait([stopping], timeout=CLOSING)
    if not done:
        stopping.cancel()
        await asyncio.wait([stopping])
    elif not stopping.cancelled():
        stopping.exception()  # of a request that was failed: told above
    return False
