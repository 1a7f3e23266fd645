"""Supervisor's configuration, as Supervisor itself reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from demo.devserver.configuration import render
from demo.devserver.supervisor import STOP_TIMEOUT
from shardlayer.balancer import balancer
from tests.demo.devserver.session import STOP_LIMIT

COMMANDS = {
    "redis": "bin/part redis valkey",
    "kafka": "bin/part kafka tansu",
    "pool": "bin/part pool manage.py runkafka",
    "feed": "bin/part feed echo 100%",
    "worker-1": "bin/part worker-1 daphne",
    "worker-2": "bin/part worker-2 daphne",
    "balancer": "bin/part balancer manage.py runbalancer",
}


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerOptions:
    """Supervisor's options after it read the generated file."""
    monkeypatch.chdir(tmp_path)
    logs = Path("var/log")
    logs.mkdir(parents=True)
    file = Path("supervisord.conf")
    file.write_text(render(COMMANDS, socket=tmp_path / "100%.sock", logs=logs, as_root=False))
    options = ServerOptions()
    options.configfile = str(file)
    options.process_config(do_usage=False)
    return options


def test_parts_stop_before_what_they_need(options: ServerOptions) -> None:
    """Supervisor stops the highest priority first: balancer, workers, feed, pool, broker, Redis."""
    groups = sorted(options.process_group_configs, key=lambda group: -group.priority)
    assert [group.name for group in groups] == [
        *("balancer", "workers", "feed", "pool", "kafka", "redis")
    ]


def test_workers_stop_side_by_side(options: ServerOptions) -> None:
    """Both are in one group, so that the second does not wait for the first."""
    (workers,) = (group for group in options.process_group_configs if group.name == "workers")
    assert {process.name for process in workers.process_configs} == {"worker-1", "worker-2"}


def test_time_to_stop(options: ServerOptions) -> None:
    """Each part has longer than it takes of itself; one that hangs leaves time for the others."""
    longest = [
        max(process.stopwaitsecs for process in group.process_configs)
        for group in options.process_group_configs
    ]
    assert min(longest) > balancer.STOP_TIMEOUT
    assert max(longest) <= STOP_TIMEOUT / 3
    assert STOP_TIMEOUT < STOP_LIMIT


def test_every_part_is_started_again(options: ServerOptions) -> None:
    """A part that ends comes back, whatever its exit code; bin/dev makes the first start."""
    for group in options.process_group_configs:
        for process in group.process_configs:
            assert process.autorestart.__name__ == "RestartUnconditionally"
            assert not process.autostart


def test_percent_signs_reach_the_part(options: ServerOptions) -> None:
    """Supervisor would read them as expansions of its own."""
    (feed,) = (group for group in options.process_group_configs if group.name == "feed")
    assert feed.process_configs[0].command == "bin/part feed echo 100%"
