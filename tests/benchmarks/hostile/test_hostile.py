"""`python -m benchmarks hostile`: that it sends what it says, and finds what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile.cases import cases, frame, handshake
from benchmarks.hostile.plans import ATTACKED, ERRORS, GROWTH, unexpected
from benchmarks.hostile.targets import hostile_targets
from benchmarks.layer.figures import Figure

HOST = "127.0.0.1:8000"


def test_a_seed_decides_the_cases() -> None:
    """As many as were asked for, the same again, and others for another seed."""
    found = cases(1, 300, HOST)
    assert len(found) == 300
    assert found == cases(1, 300, HOST)
    assert found != cases(2, 300, HOST)


def test_cases_get_past_the_handshake() -> None:
    """Some are frames on a good connection, some a bad handshake, some HTTP."""
    found = [b"".join(case) for case in cases(1, 300, HOST)]
    after = [case for case in found if case.startswith(handshake(HOST)) and b"\x81" in case]
    assert len(after) > 60
    assert sum(b"Upgrade: websocket" not in case for case in found) > 30
    assert len(set(found)) > 200


def test_frames_are_those_of_a_client() -> None:
    """The example of RFC 6455, 5.7, with another mask."""
    assert frame(1, b"Hello", masked=False) == bytes.fromhex("810548656c6c6f")
    assert frame(1, b"Hello") == bytes.fromhex("818501020304") + bytes.fromhex("49676f686e")
    assert len(frame(2, b"x" * 70_000)) == 70_014


def test_what_is_unexpected_is_found() -> None:
    """A line of a log that tells of an error, and no other."""
    log = "all is well\nTraceback (most recent call last):\n12:00 ERROR daphne: x\nWARNING slow\n"
    assert len(unexpected(log)) == 2


@pytest.mark.parametrize(("measure", "bad"), [(ERRORS, 1.0), (GROWTH, 5.1)])
def test_what_is_wrong_fails(measure: str, bad: float) -> None:
    """One error, or memory that stays, fails even a quick look."""

    def is_kept(value: float | None) -> bool:
        figure = Figure(
            measure=measure, layer=ATTACKED, round=1, value=value, unit="", calls=10_000
        )
        targets = hostile_targets([figure])
        return all(target.reached is not False for target in targets if target.promise)

    assert is_kept(0.0)
    assert not is_kept(bad)
    assert not is_kept(None)  # as when nothing was sent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worker_stands_it(tmp_path: Path) -> None:
    """600 cases: no crash, no traceback, no message lost, and hardly any memory kept."""
    results = tmp_path / "hostile.json"
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "hostile", "--quick", "--json", str(results)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    samples = json.loads(results.read_text())["samples"]
    assert {sample["measure"]: sample["value"] for sample in samples}["cases"] == 600
