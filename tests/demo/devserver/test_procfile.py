"""Reading the Procfile."""

from __future__ import annotations

import pytest

from demo.devserver.procfile import parse_procfile, worker_number


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
