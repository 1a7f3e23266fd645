"""aiokafka's own lines."""

from __future__ import annotations

import logging

LOGGER = "aiokafka"


def quiet_aiokafka() -> None:
    """Have aiokafka log nothing, unless the project's LOGGING names a level for it.

    While Kafka is away it logs every try of every consumer, 150 lines a second, of which the pool's
    own one line would be lost. What it can't mend itself it raises, and that is told.
    """
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
