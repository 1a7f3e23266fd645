"""The command line of the balancer."""

from __future__ import annotations

import argparse

import pytest

from shardlayer.balancer.balancer import BalancerOptions
from shardlayer.balancer.balancer_arguments import add_arguments, options_of


def options(*words: str) -> BalancerOptions:
    """Return what a command line asks for."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, max_connections=7, reserve=3)
    return options_of(vars(parser.parse_args(["--socket", "/run/s", *words])))


def test_defaults() -> None:
    """Loopback, and what the settings say."""
    assert options() == BalancerOptions(socket="/run/s", max_connections=7, reserve=3)


def test_addresses() -> None:
    """Several, and IPv6 as daphne takes it."""
    found = options("--host", "0.0.0.0", "--host", "[::]", "--health-host", "[::1]")
    assert found.hosts == ("0.0.0.0", "::")
    assert found.health_host == "::1"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "-1"),
        ("--port", "65536"),
        ("--port", "http"),
        ("--max-connections", "-1"),
        ("--reserve", "-1"),
        ("--backlog", "0"),
        ("--health-port", "65536"),
    ],
)
def test_bad_value(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused in one line that names the option."""
    with pytest.raises(SystemExit):
        options(option, value)
    assert option in capsys.readouterr().err.splitlines()[-1]
