"""How many dead letters wait, looked at now and then by each process of the pool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from realtime.kafka.letters.postbox import Postbox

logger = logging.getLogger(__name__)

COUNT_INTERVAL = 30.0  # seconds between two looks
COUNT_TIMEOUT = 10.0  # seconds for one


class DeadLetterCounts:
    """What the last look found.

    Args:
        postbox: Where the letters are.

    Attributes:
        counts: By topic, how many no replay has sent; None: unknown.
    """

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self.counts: Mapping[str, int] | None = None

    async def count(self) -> None:
        """Look once; a Kafka that is away is asked again next time."""
        try:
            async with asyncio.timeout(COUNT_TIMEOUT):
                self.counts = await self._postbox.waiting()
        except (KafkaError, OSError) as error:  # of which TimeoutError is one
            self.counts = None
            logger.debug("The dead letters can't be counted: %r", error)
