"""docs/limits.md lists every limit on clients, with what the code says of it."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

from realtime.clients.client_counters import ClientCounters
from realtime.conf import Conf
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.server.connection_limits import ConnectionLimits
from shardlayer.server.server_counters import ServerCounters

DOCS = Path(__file__).parents[2] / "docs"
OF_THE_SERVER = "°"
OF_THE_BALANCER = "†"

# Of REALTIME: what limits no client.
OTHER_SETTINGS = {
    "API_MAX_BODY",
    "API_MAX_ITEMS",
    *("MAX_ON_COMMIT_WAITING", "POSITION_TIMEOUT"),  # of those who publish, or render
    *("ADMIN_MAX_ROOMS", "ADMIN_MAX_LIVE"),  # of the staff's pages
}

# Options that are numbers and limit no client.
OTHER_OPTIONS = {
    *("--blocking-threshold", "--drain-seconds", "--hang-timeout", "--shutdown-timeout"),
    *("--gc-threshold", "--fd", "--port", "--verbosity"),
    "--websocket-compression",
    *("--websocket-compression-min-size", "--websocket-compression-min-clients"),
}

# What is counted, and is no limit.
OTHER_COUNTERS = {
    *("refused_writes", "origins_refused", "forbidden", "rules_recalled"),
    *("recovered", "not_recovered"),
    *("presence_failed", "presence_fetches_failed", "room_signals", "room_signals_dropped"),
    *("client_signals", "client_signals_dropped"),
    *("publications_changed", "publications_refused"),
    "sign_outs_untold",
    "admin_pages_refused",
    *("signed_out", "put_out", "renewals_asked"),
    *("streams", "streams_open", "streams_resumed"),
    *("expired_closed", "notes_taken", "notes_refused"),
    *("accepted°", "adopted°", "drained°", "refused_stopping°", "loop_blocked°", "compressed°"),
    *("accepted†", "handed_over†", "taken_back†", "dropped†", "joined†", "accept_errors†"),
}


class Row(NamedTuple):
    """A row of the table."""

    setting: str
    default: str
    counters: set[str]
    uncounted: str
    told: str


def rows() -> list[Row]:
    """Return the rows of the table of all limits."""
    text = (DOCS / "limits.md").read_text().partition("|---|---|---|---|---|---|\n")[2]
    found = []
    for line in text.partition("\n\n")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        what, setting, unit, default, counters, told = cells
        assert what, line
        assert unit, line
        names = set(re.findall(r"`(.*?)`", counters))
        uncounted = "" if names else counters
        found.append(Row(setting.strip("`"), default, names, uncounted, told))
    return found


@cache
def options() -> dict[str, str]:
    """Return the server's options that take a number, with their defaults.

    Asked in a process of its own: to import the command line installs a reactor.
    """
    program = """
from shardlayer.server.cli import CommandLineInterface
for action in CommandLineInterface().parser._actions:
    if action.type not in (None, str) and action.option_strings:
        print(action.option_strings[-1], action.default)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in run.stdout.splitlines())


def settings() -> dict[str, object]:
    """Return the settings of `REALTIME` that limit something, with their defaults."""
    return {
        item.name.upper(): item.default
        for item in fields(Conf)
        if not item.name.startswith("kafka_")
        and (item.name.startswith("max_") or "0 for no limit" in item.metadata["rule"].words)
    }


def test_every_limit_is_listed() -> None:
    """Each setting and option once, and no other."""
    listed = [row.setting for row in rows()]
    assert len(listed) == len(set(listed))
    known = set(settings()) - OTHER_SETTINGS | set(options()) - OTHER_OPTIONS
    assert set(listed) - known <= {"WS_RESERVED_CONNECTIONS"}
    assert known - set(listed) == set()


def test_defaults() -> None:
    """They are the code's."""
    code = {name: str(default) for name, default in {**settings(), **options()}.items()}
    told = {row.setting: row.default for row in rows() if row.setting in code}
    for name, default in told.items():
        if default == "none":
            assert code[name] in ("None", "0")
        else:
            assert float(code[name]) == float(default), name


def test_counters() -> None:
    """Each that is named is there, and each that counts what a limit did is named."""
    named = set().union(*(row.counters for row in rows()))
    there = {item.name for item in fields(ClientCounters)}
    there |= {item.name + OF_THE_SERVER for item in fields(ServerCounters)}
    there |= {item.name + OF_THE_BALANCER for item in fields(BalancerCounters)}
    assert named <= there
    assert there - named == OTHER_COUNTERS


def test_limits_without_a_counter_say_why() -> None:
    """An empty cell would leave operators to guess."""
    for row in rows():
        assert row.counters or row.uncounted.startswith("none: "), row.setting


def test_what_the_client_is_told() -> None:
    """Close codes and errors are explained in docs/protocol.md, statuses in its text."""
    protocol = (DOCS / "protocol.md").read_text()
    codes = set(re.findall(r"^\| `?([\w, ]+?)`? \|", protocol, re.MULTILINE))
    explained = {code for cell in codes for code in cell.split(", ")}
    for row in rows():
        assert row.told
        words = set(re.findall(r"\b[1-4]\d{3}\b", row.told))
        words |= set(re.findall(r"`(\w+)`", row.told)) - {"history", "more"}
        assert words <= explained, row.setting


def test_options_of_connections_are_all_there() -> None:
    """Each field of ConnectionLimits is an option of that name."""
    names = {f"--{item.name.replace('_', '-')}" for item in fields(ConnectionLimits)}
    assert names <= set(options())


def test_a_parser_is_what_is_asked() -> None:
    """`_actions`, which argparse does not document, are what they were."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--size", type=int, default=3)
    assert [action.option_strings for action in parser._actions] == [["--size"]]
