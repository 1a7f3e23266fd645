"""What `bin/dev` says of a part that takes long."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from demo.devserver import run
from demo.devserver.errors import DevServerError
from demo.devserver.supervisor import LOGS, PartState, Supervisor


class QuietSupervisor:
    """Says of its one part what it is told to."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    def states(self) -> list[PartState]:
        """Return the next state."""
        return [PartState(name="worker-1", state=self._states.pop(0), pid=1)]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's log, in a checkout where everything is slow at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "SLOW", 0.0)
    LOGS.mkdir(parents=True)
    (LOGS / "worker-1.log").write_text("It imports Django.\n")


@pytest.mark.usefixtures("log")
def test_slow_part_is_told_once_and_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A busy machine is no reason to end it all; what the part said so far is shown."""
    answers = iter([False, False, False, True])
    supervisor = cast(Supervisor, QuietSupervisor("STARTING", "RUNNING", "RUNNING"))
    run.wait_for(supervisor, "worker-1", lambda: next(answers), logs=["worker-1"])
    said = capsys.readouterr().out
    assert said.count("worker-1 is not up after") == 1
    assert said.count("  It imports Django.\n") == 1


@pytest.mark.usefixtures("log")
def test_slow_part_that_ends_is_an_error() -> None:
    """Then nothing is left to wait for."""
    supervisor = cast(Supervisor, QuietSupervisor("RUNNING", "BACKOFF"))
    with pytest.raises(DevServerError, match=r"worker-1 ended by itself\.(.|\n)*imports Django"):
        run.wait_for(supervisor, "worker-1", lambda: False, logs=["worker-1"])
