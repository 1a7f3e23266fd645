"""Whatever keeps us from asking Kafka, as one error with a sentence for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from realtime.conf import conf
from shardlayer import MissingExtra, needs_extra


class KafkaUnavailable(Exception):
    """Kafka does not answer, or can't be asked; the message says why."""


@contextmanager
def kafka_failures() -> Iterator[None]:
    """Import and ask what Kafka needs inside of this block.

    Raises:
        KafkaUnavailable: aiokafka is not installed, the settings name what can't be, or the
            brokers do not answer or do not allow it.
    """
    try:
        with needs_extra("kafka"):
            from realtime.kafka.advice import FAILURES, told
            from realtime.kafka.brokers import KafkaSettingsError
            from realtime.kafka.reporting import quiet_aiokafka
    except MissingExtra as error:
        raise KafkaUnavailable(str(error)) from error
    quiet_aiokafka()
    try:
        yield
    except KafkaSettingsError as error:
        raise KafkaUnavailable(str(error)) from error
    except FAILURES as error:
        servers = ", ".join(conf().kafka_bootstrap_servers)
        why = "no answer in time" if isinstance(error, TimeoutError) else told(error)
        raise KafkaUnavailable(f"Kafka at {servers}: {why}") from error
