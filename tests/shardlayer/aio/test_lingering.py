"""Refused clients get some time, so many of them."""

from __future__ import annotations

import logging

import pytest

from shardlayer.aio.lingering import Lingering

PATIENCE = 10.0  # seconds


def test_who_leaves_in_time_is_not_cut_off() -> None:
    """Who does not is, once."""
    cut: list[str] = []
    lingering: Lingering[str] = Lingering(cut.append, patience=PATIENCE)
    for name in "ab":
        lingering.begin(name, 100.0)
    lingering.end("a")
    lingering.end("stranger")
    lingering.check(100.0 + PATIENCE)
    assert cut == []
    lingering.check(101.0 + PATIENCE)
    lingering.check(102.0 + PATIENCE)
    assert cut == ["b"]


def test_there_are_only_so_many() -> None:
    """The one that has had the most time makes way. It counts until it is gone."""
    cut: list[int] = []
    lingering: Lingering[int] = Lingering(cut.append, patience=PATIENCE, most=2)
    for number in range(5):
        lingering.begin(number, float(number))
    assert cut == [0, 1, 2]
    assert len(lingering) == 5
    for number in cut:
        lingering.end(number)
    assert len(lingering) == 2
    assert lingering.displace()
    assert lingering.displace()
    assert not lingering.displace()
    assert cut == [0, 1, 2, 3, 4]


def test_whose_end_is_told_at_once() -> None:
    """It counts no more."""

    def cut_off(name: str) -> None:
        lingering.end(name)

    lingering = Lingering(cut_off, patience=PATIENCE, most=1)
    for name in "abc":
        lingering.begin(name, 0.0)
        assert len(lingering) == 1


def test_end_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It keeps no other from its end."""
    cut: list[str] = []

    def cut_off(name: str) -> None:
        cut.append(name)
        raise OSError("made up")

    lingering = Lingering(cut_off, patience=PATIENCE)
    for name in "ab":
        lingering.begin(name, 0.0)
    with caplog.at_level(logging.ERROR):
        lingering.check(PATIENCE + 1)
    assert cut == ["a", "b"]
    assert len(caplog.records) == 2
