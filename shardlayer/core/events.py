"""What operators follow in the log: starts and stops, who was refused, who was closed and why.

One line for each, of the logger `shardlayer.events` at level INFO. It is as much as an access log,
so there are none unless the logger has a level of its own. That of the root does not count: Daphne
sets it. The fields are attributes of the log record, so that a formatter has them apart from the
words (see json_formatter.py). None is a payload, a URL's query, a header or a token.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("shardlayer.events")
if logger.level == logging.NOTSET:
    logger.setLevel(logging.WARNING)

Field = str | int | float | None


def events_are_told() -> bool:
    """Tell whether anybody wants to hear: what is costly to find out is asked for only then."""
    return logger.isEnabledFor(logging.INFO)


def tell_event(event: str, **fields: Field) -> None:
    """Log an event.

    Args:
        event: What happened, one word: see docs/operate.md.
        fields: More about it; None is left out.
    """
    if logger.isEnabledFor(logging.INFO):
        known = {name: value for name, value in fields.items() if value is not None}
        words = " ".join(f"{name}={value!r}" for name, value in known.items())
        logger.info("%s %s", event, words, extra={"event": event, "fields": known})
