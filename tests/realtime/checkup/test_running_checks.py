"""Checks run side by side, end in time, and show no secret."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from realtime.checkup.finding import CheckRequest, Finding, Level, ok, warning
from realtime.checkup.known_checks import CHECKS, known_check
from realtime.checkup.running_checks import are_running, run_checks, worst
from tests.no_threads import no_more_threads
from tests.realtime.conftest import channel_layers
from tests.waiting import PATIENCE, wait_until

ASKED = CheckRequest(timeout=1.0)


def test_every_check_can_be_loaded() -> None:
    """Each path of the list names a function."""
    assert all(callable(known_check(name)) for name in CHECKS)


def test_they_run_side_by_side_and_keep_their_order() -> None:
    """Each waits for the other; one after the other they would wait for ever."""
    both = threading.Barrier(2, timeout=PATIENCE)

    def check(asked: CheckRequest) -> Iterator[Finding]:
        both.wait()
        yield ok("well")

    found = run_checks({"b": check, "a": check}, ASKED, deadline=30)
    assert list(found) == ["b", "a"]
    assert [each.text for each in found["a"]] == ["well"]


def test_one_that_hangs_is_a_fault_in_time() -> None:
    """What it found before is shown, and the others' findings are."""
    go_on = threading.Event()

    def hangs(asked: CheckRequest) -> Iterator[Finding]:
        yield warning("slow", "wait")
        go_on.wait()

    began = time.monotonic()
    found = run_checks({"hangs": hangs, "well": lambda asked: [ok("x")]}, ASKED, deadline=3)
    assert time.monotonic() - began < 10
    assert [each.level for each in found["hangs"]] == [Level.WARNING, Level.FAULT]
    assert "within 3 s" in found["hangs"][1].text
    assert found["well"] == [ok("x")]
    assert are_running()
    go_on.set()
    wait_until(lambda: not are_running())


def test_one_that_fails_is_a_line() -> None:
    """Neither a traceback nor a second line; the settings' mistakes are named as such."""

    def fails(asked: CheckRequest) -> Iterator[Finding]:
        raise ValueError("first\nsecond")

    def unset(asked: CheckRequest) -> Iterator[Finding]:
        raise ImproperlyConfigured("REALTIME is wrong.")

    found = run_checks({"fails": fails, "unset": unset}, ASKED, deadline=30)
    assert found["fails"][0].text == "The check itself failed: ValueError: first second"
    assert found["unset"][0].text == "Not checked: REALTIME is wrong."
    assert worst(found["unset"]) is Level.FAULT


def test_no_thread_could_be_started() -> None:
    """That is a fault of each check, and none is left running."""
    checks = {name: lambda asked: [ok("x")] for name in ("a", "b")}
    with no_more_threads():
        found = run_checks(checks, ASKED, deadline=30)
    assert list(found) == ["a", "b"]
    for [finding] in found.values():
        assert finding.level is Level.FAULT
        assert finding.text.startswith("Not checked: the system starts no thread: can't start")
    assert not are_running()


def test_only_some_threads_could_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others find is shown."""
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        with no_more_threads() if thread.name.endswith("full") else nullcontext():
            start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    checks = {name: lambda asked: [ok("x")] for name in ("a", "full", "b")}
    found = run_checks(checks, ASKED, deadline=PATIENCE)
    assert [worst(found[name]) for name in checks] == [Level.OK, Level.FAULT, Level.OK]


@pytest.mark.parametrize(
    "secret",
    [
        *("the-django-key", "tabasco1", "p%40ss", "p@ss", "kafka-pw", "db-pw", "jwt-secret"),
        *("healthy", "in-query", "in%20query", "in query", r"back\slash", r"back\\slash"),
    ],
)
def test_secrets_of_the_settings_are_never_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """Wherever a text quotes one, in whatever form, it is cut out."""
    settings.SECRET_KEY = "the-django-key"
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[
            "redis://u:p%40ss@h:1",
            {"host": "h", "password": "tabasco1"},
            {"host": "h", "password": r"back\slash"},
            "redis://h:1/0?password=in-query",
            "redis://h:2/0?db=1&password=in%20query",
        ]
    )
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "db-pw")
    settings.REALTIME = {
        "KAFKA_PASSWORD": "kafka-pw",
        "JWT_KEYS": ["jwt-secret"],
        "HEALTH_KEY": "healthy",
    }

    def tells(asked: CheckRequest) -> Iterator[Finding]:
        yield warning(f"login with {secret} failed", f"not {secret}")

    [finding] = run_checks({"tells": tells}, ASKED, deadline=30)["tells"]
    assert (finding.text, finding.hint) == ("login with … failed", "not …")
