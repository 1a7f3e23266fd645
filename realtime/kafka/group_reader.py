"""One consumer of the group: it reads until it is told to stop, and joins again after errors."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiokafka.errors import KafkaError

from realtime.kafka.advice import advice_on, reason_of
from realtime.kafka.membership import GroupMembership, Rejoin
from realtime.kafka.reading.consumer import NameTaken
from realtime.kafka.stopping import Stop, Stopped
from realtime.metrics.metric_sources import PartitionFigures
from realtime.outage import Outage, pause

logger = logging.getLogger(__name__)

NAME_TAKEN = "give each pool that runs at the same time an --instance-id of its own."


class GroupReader:
    """Reads for the group until it is told to stop; a failing Kafka is tried again forever.

    Args:
        join: Makes a membership that ends with the given stop, knows topics' ids from those before
            it, and calls when it has fetched.
    """

    def __init__(
        self, join: Callable[[Stop, dict[str, str], Callable[[], None]], GroupMembership]
    ) -> None:
        self._join = join
        self._topic_ids: dict[str, str] = {}
        self._stop = Stop()
        self._membership: GroupMembership | None = None

    def stop(self) -> None:
        """Finish what is under way, commit, leave the group. Returns at once.

        What does not answer is not waited for beyond the graces that membership.py names.
        """
        self._stop.set()

    def paused(self) -> int:
        """Return how many of this reader's partitions are paused."""
        return 0 if self._membership is None else self._membership.paused

    def partitions(self) -> list[PartitionFigures]:
        """Return how far each of this reader's partitions is."""
        return [] if self._membership is None else self._membership.partitions()

    def lag(self) -> int:
        """Return how many records wait in this reader's partitions, as far as it has heard."""
        return 0 if self._membership is None else self._membership.lag()

    async def run(self) -> None:
        """Read until `stop`."""
        outage = Outage("Kafka", logger)
        while not self._stop.is_set():
            try:
                await self._read(outage)
            except NameTaken as error:
                await pause(outage.failed(error, advice=NAME_TAKEN), unless=self._stop)
            except Rejoin as error:
                logger.warning("%s; joining the group again.", error)
            except KafkaError as error:
                await pause(
                    outage.failed(reason_of(error), advice=advice_on(error)), unless=self._stop
                )

    async def _read(self, outage: Outage) -> None:
        membership = self._join(self._stop, self._topic_ids, outage.over)
        try:
            await membership.start()
            self._membership = membership
            await membership.run()
        except Stopped:
            pass
        finally:
            self._membership = None
            await membership.aclose()
