"""Log lines as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shardlayer.core.events import events_are_told, tell_event
from shardlayer.core.json_formatter import JsonFormatter


class Lines(logging.Handler):
    """Keeps what a formatter makes of records."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def last(self) -> dict[str, Any]:
        """Return the last one."""
        assert "\n" not in self.found[-1]
        line: dict[str, Any] = json.loads(self.found[-1])
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged, as lines."""
    lines = Lines()
    root = logging.getLogger()
    root.addHandler(lines)
    yield lines
    root.removeHandler(lines)


def test_line_has_the_documented_fields(lines: Lines) -> None:
    """Time, level, logger, message and process; a line end in the text ends no line."""
    logging.getLogger("some.where").warning("%d things\nand \u2028 more", 3)
    line = lines.last()
    assert line.pop("time").endswith("Z")
    assert line.pop("process") > 0
    assert line == {
        "level": "WARNING",
        "logger": "some.where",
        "message": "3 things\nand \u2028 more",
    }


def test_error_has_its_traceback(lines: Lines) -> None:
    """In a field of its own."""
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("some.where").exception("It failed")
    line = lines.last()
    assert line["message"] == "It failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: no")


def test_event_has_its_fields(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    """Those that are known; none takes the place of what every line has."""
    with caplog.at_level(logging.INFO, "shardlayer.events"):
        assert events_are_told()
        tell_event("closed", code=1000, reason='quo"ted', client=None, level=3)
    line = lines.last()
    assert line["event"] == "closed"
    assert line["code"] == 1000
    assert line["reason"] == 'quo"ted'
    assert line["level"] == "INFO"
    assert "client" not in line
    assert line["message"] == "closed code=1000 reason='quo\"ted' level=3"


def test_events_are_told_to_those_who_ask(caplog: pytest.LogCaptureFixture) -> None:
    """At level INFO of their logger."""
    with caplog.at_level(logging.WARNING, "shardlayer.events"):
        assert not events_are_told()
        tell_event("closed", code=1000)
    assert not caplog.records


def test_other_libraries_records_are_lines_too(lines: Lines) -> None:
    """Whatever they attach, and whatever is no UTF-8 in their texts."""
    # Not by a logger: pytest would keep the text, and pytest-xdist can't send half a surrogate.
    lines.handle(
        logging.makeLogRecord(
            {
                "name": "django.request",
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "msg": "Not found: %s",
                "args": ("/\udcff",),
                "request": object(),
                "event": 7,
                "fields": 3,
            }
        )
    )
    line = lines.last()
    assert line["message"] == "Not found: /?"
    assert "event" not in line
