"""Log lines as JSON, one object a line, for whoever collects logs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson


class JsonFormatter(logging.Formatter):
    r"""A formatter for `LOGGING`: each record is a line of JSON, whatever it has in its text.

    Always there are `time` (UTC, RFC 3339 with milliseconds), `level`, `logger`, `message` and
    `process`. An event of ours has `event` and its own fields beside (see events.py). A record with
    an error has `exception`, the traceback. Line ends within are `\n`, so a line is a record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        event = getattr(record, "event", None)
        fields = getattr(record, "fields", None)
        if isinstance(event, str) and isinstance(fields, Mapping):
            line["event"] = event
            for name, value in fields.items():
                line.setdefault(str(name), value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half a surrogate pair, say, as a name of a file may have
            readable = {
                name: str(value).encode("utf-8", "replace").decode() for name, value in line.items()
            }
            return orjson.dumps(readable).decode()
