"""Reading the Procfile."""

from __future__ import annotations

import pytest

from demo.devserver.errors import DevServerError
from demo.devserver.procfile import parse_procfile, with_workers, worker_number


def test_commands_come_in_the_order_of_the_file() -> None:
    """Every line `name: command` is a part; blank lines and comments are none."""
    text = "# parts:\n\npool:  manage.py runkafka \nworker-1: daphne -p {PORT} a:b\n"
    parts = parse_procfile(text)
    assert list(parts.items()) == [
        ("pool", "manage.py runkafka"),
        ("worker-1", "daphne -p {PORT} a:b"),
    ]


def test_name_that_appears_twice_is_an_error() -> None:
    """The second line would silently replace the first."""
    with pytest.raises(ValueError, match="pool appears twice"):
        parse_procfile("pool: a\npool: b\n")


@pytest.mark.parametrize(
    ("name", "number"), [("worker-1", 1), ("worker-12", 12), ("worker", None), ("pool", None)]
)
def test_worker_is_told_by_its_name(name: str, number: int | None) -> None:
    """Workers are numbered; nothing else is a worker."""
    assert worker_number(name) == number


COMMANDS = {
    "pool": "runkafka",
    "worker-1": "bin/part worker-1 daphne --worker-name worker-1",
    "worker-2": "bin/part worker-2 daphne --its-own",
    "balancer": "runbalancer",
}


@pytest.mark.parametrize(
    ("count", "workers"),
    [
        ("1", [COMMANDS["worker-1"]]),
        ("2", [COMMANDS["worker-1"], COMMANDS["worker-2"]]),
        (
            "3",
            [
                COMMANDS["worker-1"],
                COMMANDS["worker-2"],
                "bin/part worker-3 daphne --worker-name worker-3",
            ],
        ),
    ],
)
def test_number_of_workers(count: str, workers: list[str]) -> None:
    """More are made of worker-1's line; the other parts stay where they are."""
    parts = with_workers(COMMANDS, count)
    assert list(parts.values()) == ["runkafka", *workers, "runbalancer"]
    assert list(parts)[1:-1] == [f"worker-{number}" for number in range(1, int(count) + 1)]


@pytest.mark.parametrize("count", ["0", "10", "-1", "many"])
def test_impossible_number_of_workers(count: str) -> None:
    """There is at least one, and no more than there are ports for."""
    with pytest.raises(DevServerError, match="WORKERS"):
        with_workers(COMMANDS, count)
