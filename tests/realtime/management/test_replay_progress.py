"""How far a replay is, where no bar can be drawn."""

from __future__ import annotations

import pytest

from realtime.management import replay_progress
from realtime.management.replay_progress import ProgressBar, ProgressLines, progress_for


def test_without_rich_it_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one for each batch."""
    lines: list[str] = []
    progress = ProgressLines(lines.append)
    progress.show(100, 5_000)
    assert lines == []
    monkeypatch.setattr(replay_progress, "PAUSE", 0)
    progress = ProgressLines(lines.append)
    progress.show(1_200, 5_000)
    assert lines == ["1,200 of 5,000 dead letters"]


def test_rich_draws_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is installed."""
    bar = progress_for(print)
    bar.close()
    assert isinstance(bar, ProgressBar)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(progress_for(print), ProgressLines)
