"""`manage.py realtime loadtest` against workers that run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from tests.realtime.loadtest.doubling_proxy import doubling_proxy
from tests.realtime.loadtest.load_site import LoadSite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("loadtest")]

SHORT = ("--clients", "24", "--rooms", "3", "--rate", "60", "--seconds", "1")


def test_connect_says_who_got_in(load_site: LoadSite) -> None:
    """All, where, and how long it took them."""
    tested = load_site.test("connect", "--clients", "24", "--hold", "1", "--json")
    assert tested.code == 0, tested.errors
    assert tested.report["figures"]["stayed"] == 24
    assert tested.table("Connections") == [["subscribed", "24"]]
    [[node, clients, *_]] = tested.table("By node")
    assert node
    assert clients == "24"


def test_connect_counts_who_did_not(load_site: LoadSite) -> None:
    """Rooms that no token opens: each client is counted, and the exit code says it."""
    tested = load_site.test(
        "connect", "--clients", "5", "--hold", "1", "--no-room-tokens", "--json"
    )
    assert tested.code == 1
    assert tested.table("Connections") == [["refused: forbidden", "5"]]
    assert tested.found("refused") == 5


@pytest.mark.parametrize(("limit", "code"), [("2", 0), ("1.5", 1)])
def test_connect_says_how_even_it_is(load_site: LoadSite, limit: str, code: int) -> None:
    """Three clients take two addresses in turn: one worker has twice what the other has."""
    crowd = ("--clients", "3", "--rooms", "3", "--hold", "1", "--max-uneven", limit, "--json")
    tested = load_site.test("connect", *crowd, *load_site.both)
    assert tested.code == code, tested.errors
    assert tested.found("uneven") == 2
    assert sorted(row[1] for row in tested.table("By node")) == ["1", "2"]


def test_connect_counts_those_for_whom_there_is_no_room(load_site: LoadSite) -> None:
    """A worker that is full answers 503."""
    with load_site.worker("--capacity", "4") as url:
        crowd = ("--clients", "10", "--hold", "1", "--max-refused", "6", "--json")
        tested = load_site.test("connect", *crowd, "--url", url)
    assert sorted(tested.table("Connections")) == [["answered with 503", "6"], ["subscribed", "4"]]
    assert tested.found("refused") == 6, tested.report
    assert tested.code == 0, tested.errors


def test_broadcast_is_complete_but_late(load_site: LoadSite, tmp_path: Path) -> None:
    """Every client has every number. No delivery takes less than a microsecond: exit code 1."""
    page = tmp_path / "report.html"
    tested = load_site.test("broadcast", *SHORT, "--html", str(page), "--max-p50", "0.001")
    assert tested.code == 1
    assert "24 of 24 clients" in tested.output
    assert "kept      lost ≤ 0: 0" in tested.output
    assert "connected" in tested.output  # while it ran
    assert "NOT KEPT  p50 ≤ 0.001 ms: " in tested.output
    assert "CommandError: Not kept: p50" in tested.errors
    assert "Not all limits are kept." in page.read_text()


def second_of_day(text: str) -> float:
    """Return the seconds since midnight that a time in a report stands for."""
    clock, _, milliseconds = text.partition(".")
    assert len(milliseconds) == 3, text
    hours, minutes, seconds = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds + int(milliseconds) / 1e3


def test_missing_publications_say_when_they_were_published(
    load_site: LoadSite, tmp_path: Path
) -> None:
    """Those who publish and the workers have different Redis servers, so nobody gets anything."""
    short = ("--clients", "2", "--rooms", "1", "--rate", "10", "--seconds", "0.5")
    begun = time.localtime()
    with EmbeddedValkey(directory=tmp_path) as other:
        started = time.monotonic()
        tested = load_site.test(
            "broadcast", *short, "--patience", "0.2", "--json", REDIS_URL=other.url
        )
        took = time.monotonic() - started
    assert tested.code == 1, tested.errors
    assert tested.report["figures"]["lost"] == 2 * 5
    rows = tested.table("What is missing")
    assert [row[4:6] for row in rows] == [["0", "4"]] * 2
    midnight = begun.tm_hour * 3600 + begun.tm_min * 60 + begun.tm_sec
    for row in rows:
        first, last = map(second_of_day, row[6:])
        day = 24 * 3600
        assert (first - midnight) % day < took + 5
        assert 0.35 < (last - first) % day < took + 1  # the fifth is due after 0.4 s


def test_what_comes_twice_says_when_it_was_published(load_site: LoadSite) -> None:
    """Beside the time at which it came."""
    short = ("--clients", "1", "--rooms", "1", "--rate", "10", "--seconds", "0.5", "--json")
    started = time.monotonic()
    with doubling_proxy(load_site.ports[0]) as port:
        tested = load_site.test("broadcast", *short, "--url", f"ws://127.0.0.1:{port}/ws/")
    took = time.monotonic() - started
    assert tested.code == 1, tested.errors
    [table] = [each for each in tested.report["tables"] if each["title"].startswith("What came")]
    assert table["head"][6:8] == ["published at", "at"]
    assert [(row[0], row[3]) for row in table["rows"]] == [("doubled", str(n)) for n in range(5)]
    day = 24 * 3600
    times = [tuple(map(second_of_day, row[6:8])) for row in table["rows"]]
    assert 0.35 < (times[-1][0] - times[0][0]) % day < took + 1  # the fifth is due after 0.4 s
    for published, came in times:
        assert (came - published + 0.1) % day < took + 1  # two processes read the clock


def test_clients_publish(load_site: LoadSite) -> None:
    """Where the rules let them."""
    tested = load_site.test(
        "broadcast", *SHORT, "--through", "client", "--room-prefix", "open.load", "--json"
    )
    assert tested.code == 0, tested.errors
    figures = tested.report["figures"]
    assert figures["deliveries"] + figures.get("recovered", 0) == 60 * 8


def test_refused_publisher_is_a_line(load_site: LoadSite) -> None:
    """The rules let no client publish here."""
    tested = load_site.test("broadcast", *SHORT, "--through", "client")
    assert tested.code == 3
    assert tested.errors.startswith(
        "CommandError: The load test failed. It can't be published: LoadFailed: refused: forbidden"
    )


def test_api_publishes(load_site: LoadSite) -> None:
    """With a key."""
    load_site.manage("migrate", "realtime", "--verbosity", "0")
    key = load_site.manage("realtime", "apikey", "create", "load", "--room", "loadtest.*")
    assert key.returncode == 0, key.stderr
    [line] = [line for line in key.stdout.split() if line.startswith("slk_")]
    tested = load_site.test("broadcast", *SHORT, "--through", "api", "--api-key", line, "--json")
    assert tested.code == 0, tested.errors
    assert tested.report["figures"]["lost"] == 0
    assert line not in tested.output


def test_nobody_there_is_said(load_site: LoadSite) -> None:
    """No client gets in where nothing listens."""
    tested = load_site.test("broadcast", *SHORT, "--json", "--url", "ws://127.0.0.1:9/ws/")
    assert tested.code == 1
    assert tested.report["findings"][0] == "No client got in, so nothing was published."


def test_another_machine_is_refused(load_site: LoadSite) -> None:
    """Before any process is started."""
    tested = load_site.test("connect", "--url", "ws://192.0.2.1/ws/")
    assert tested.code == 3
    assert "--yes-i-own-it 192.0.2.1" in tested.errors
