"""How soon a broker is asked again, so that the records of a stream come in fuller fetches.

A fetch, and the call that publishes what it brought, cost the pool, Redis and the workers about as
much for ten records as for one. So a broker that has brought several is left in peace for a
moment: a millisecond for each but the first, up to a limit. The records of a stream gather there
meanwhile. After a record that came alone, the next fetch goes out at once, and waits at the broker.
If so many came that the broker has more of them already, a pause gains nothing, so there is none.
"""

from __future__ import annotations

from realtime.kafka.reading.batch_format import batches_of

PER_RECORD = 0.001  # seconds for each record but the first
BACKLOG = 250  # records of one fetch, past which it was no stream that brought them


class FetchPace:
    """When brokers may be asked again.

    Args:
        most: Seconds that a broker is left in peace, at most; 0: it is asked at once.

    Attributes:
        waited: How often a fetch had to wait.
    """

    def __init__(self, most: float) -> None:
        self.waited = 0
        self._most = most
        self._due: dict[int, float] = {}  # by broker: until then it is not asked

    def wait(self, broker: int, now: float) -> float:
        """Return the seconds until a broker may be asked."""
        left = max(0.0, self._due.pop(broker, 0.0) - now)
        self.waited += left > 0
        return left

    def fetched(self, broker: int, records: int, now: float) -> None:
        """Note what a broker has answered."""
        if self._most and 1 < records < BACKLOG:
            self._due[broker] = now + min(self._most, (records - 1) * PER_RECORD)


def count_records(data: bytes, at_most: int) -> int:
    """Return how many records the batches of a partition name, counted until they are enough."""
    count = 0
    for batch in batches_of(data):
        count += batch.records
        if count >= at_most:
            break
    return count
