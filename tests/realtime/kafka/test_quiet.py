"""aiokafka's own lines, and who wants them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from realtime.kafka.quiet import LOGGER, quiet_aiokafka


@pytest.fixture
def aiokafka_logger() -> Iterator[logging.Logger]:
    """aiokafka's logger without a level of its own; afterwards as it was."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(level)


def test_errors_of_its_parts_are_not_logged(
    aiokafka_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Its loggers take the level from the topmost."""
    quiet_aiokafka()
    aiokafka_logger.getChild("consumer.fetcher").error("Failed fetch messages")
    assert caplog.messages == []


def test_a_level_of_the_project_stays(aiokafka_logger: logging.Logger) -> None:
    """Who names a level for it gets its lines."""
    aiokafka_logger.setLevel(logging.DEBUG)
    quiet_aiokafka()
    assert aiokafka_logger.level == logging.DEBUG
