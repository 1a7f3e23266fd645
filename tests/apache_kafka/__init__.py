"""A real Apache Kafka without Docker, wherever Java 17 and Maven are."""

import pytest

from tests.apache_kafka.broker import ApacheKafka
from tests.apache_kafka.jars import JarsNotFetched, kafka_jars

__all__ = ["APACHE", "ApacheKafka", "JarsNotFetched", "kafka_jars"]

APACHE = (
    pytest.mark.needs("java", "mvn"),
    pytest.mark.timeout(300),  # seconds; the first test waits for the jars
    pytest.mark.xdist_group("apache-kafka"),  # one Java process for the whole run
)
"""The marks of a test that takes the fixture `apache_kafka` or `stoppable_kafka`."""
