"""What Twisted catches is in the worker's log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from twisted.logger import Logger

from shardlayer.aio.error_log import LIMIT
from shardlayer.server import twisted_log
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess

APPLICATION = "tests.server.erring_application:application"
OURS = "Twisted caught an error: "


@pytest.mark.parametrize(
    ("path", "says", "error"),
    [
        ("/timer", "while handling timed call", "ZeroDivisionError: a timer's"),
        ("/protocol", "twisted.internet.asyncioreactor", 'KeyError: "a protocol\'s"'),
        ("/deferred", "Unhandled error in Deferred:", "LookupError: a Deferred's"),
        ("/old", "as of old", "BufferError: an older module's"),
    ],
)
def test_errors_are_logged_once_a_minute(tmp_path: Path, path: str, says: str, error: str) -> None:
    """With the traceback; another kind of error has a line of its own."""
    with ServerProcess(tmp_path, *LOOPBACK, application=APPLICATION) as server:
        for each in (path, path, path, "/other", "/other-timer", "/news"):
            assert server.get(each) == b"done"
        assert server.stop() == 0
        assert OURS + says in server.log, server.log
        assert server.log.count(error) == 1
        assert server.log.count("ValueError: of another kind") == 1
        assert server.log.count("ZeroDivisionError: another timer's") == 1
        assert "no error" not in server.log
        assert "of a level" not in server.log
        assert "Temporarily disabling observer" not in server.log


def test_daphne_logs_all_when_it_is_verbose(tmp_path: Path) -> None:
    """So nothing is logged twice."""
    with ServerProcess(tmp_path, *LOOPBACK, "-v", "2", application=APPLICATION) as server:
        for each in ("/timer", "/timer", "/news"):
            assert server.get(each) == b"done"
        assert server.stop() == 0
        assert server.log.count("ZeroDivisionError: a timer's") == 2, server.log
        assert "no error" in server.log
        assert OURS not in server.log


def test_kinds_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    """Past the limit they have one line together."""
    log = Logger()
    with twisted_log.twisted_errors_logged(), caplog.at_level(logging.ERROR):
        for _ in range(2):
            for number in range(LIMIT):
                log.error(f"kind {number}")
        assert len(caplog.records) == LIMIT
        log.error("one more")
        log.error("another")
        log.error("kind 0")
    log.error("after the end")
    said = [record.message for record in caplog.records[LIMIT:]]
    assert said == [f"{OURS}one more"]
