"""The pool, and the dead letters, that settings and a command's options ask for."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.module_loading import import_string

from realtime.conf import Conf
from realtime.kafka.brokers import KafkaSettingsError, brokers_of
from realtime.kafka.letters.postbox import Postbox
from realtime.kafka.pool import Pool
from realtime.kafka.reading.size_limits import Limits
from shardlayer import ShardedChannelLayer

logger = logging.getLogger(__name__)

# org.apache.kafka.common.internals.Topic: what may be a topic's name.
_is_topic = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}").fullmatch


def configured_pool(settings: Conf, layer: ShardedChannelLayer, options: Mapping[str, Any]) -> Pool:
    """Return the pool that settings and the options of `runkafka` ask for.

    Raises:
        KafkaSettingsError: They ask for what can't be.
    """
    brokers = brokers_of(settings, options["bootstrap"].split(","))
    for topic in options["topics"]:
        if not _is_topic(topic):
            raise KafkaSettingsError(
                f"{topic!r} names no topic of Kafka: 1 to 249 letters, digits, periods, "
                "underscores and hyphens."
            )
    if not options["group"]:
        raise KafkaSettingsError("The consumer group needs a name.")
    try:
        route = import_string(settings.kafka_route)
    except ImportError as error:
        raise KafkaSettingsError(f"REALTIME['KAFKA_ROUTE']: {error}") from error
    if not callable(route):
        raise KafkaSettingsError(
            f"REALTIME['KAFKA_ROUTE']: {settings.kafka_route} is not a function."
        )
    _tell_of_replays(settings, options["group"])
    return Pool(
        brokers=brokers,
        topics=options["topics"],
        group=options["group"],
        consumers=options["consumers"],
        auto_offset_reset=options["auto_offset_reset"],
        route=route,
        layer=layer,
        limits=Limits(
            payload=layer.options.max_message_size,
            unpacked=settings.kafka_max_unpacked,
            letter=settings.kafka_max_dead_letter,
            rooms=settings.kafka_max_rooms,
            route_time=settings.kafka_route_timeout,
            gather=settings.kafka_gather,
        ),
        isolation=settings.kafka_isolation,
        dead_letter_suffix=settings.kafka_dead_letter_suffix,
        instance=options["instance_id"],
        terminal=sys.stdout if sys.stdout.isatty() else None,
        options=settings.kafka_consumer_options,
        replay_group=settings.kafka_group,
    )


def _tell_of_replays(settings: Conf, group: str) -> None:
    """Say by which group dead letters count, where that is not the pool's."""
    suffix = settings.kafka_dead_letter_suffix
    if suffix is not None and group != settings.kafka_group:
        logger.info(
            "This pool reads in the group %r. Which dead letters were replayed is noted under %r, "
            "by REALTIME['KAFKA_GROUP'], as for every pool of this project.",
            *(group, settings.kafka_group + suffix),
        )


def configured_postbox(settings: Conf, topics: Sequence[str] | None = None) -> Postbox:
    """Return the dead letters of some topics; of those of the settings if None.

    Which of them were sent again is noted under KAFKA_GROUP, in whichever group a pool reads: a
    topic's letters are of all its pools.

    Raises:
        KafkaSettingsError: None are kept, or Kafka can't be reached as the settings say.
    """
    if settings.kafka_dead_letter_suffix is None:
        raise KafkaSettingsError(
            "REALTIME['KAFKA_DEAD_LETTER_SUFFIX'] is None: no dead letters are kept."
        )
    return Postbox(
        brokers=brokers_of(settings),
        topics=settings.kafka_topics if topics is None else topics,
        suffix=settings.kafka_dead_letter_suffix,
        group=settings.kafka_group,
        limit=settings.kafka_max_dead_letter,
    )
