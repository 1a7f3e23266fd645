"""What processes of a load test report, as values."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from realtime.loadtest.crew.load_figures import LoadFigures
from realtime.loadtest.crew.load_helper import LoadHelper
from realtime.loadtest.delay_histogram import DelayHistogram


class SilentHelper(LoadHelper):
    """A process that is asked nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name, lambda helper, report: None)

    async def _write(self, line: bytes) -> None:
        raise AssertionError("it is asked nothing")

    async def aclose(self) -> None:
        """Do nothing."""


def delays_of(*seconds: float) -> Mapping[str, object]:
    """Return delays as a process tells them."""
    histogram = DelayHistogram()
    histogram.take(array("q", [round(each * 1e9) for each in seconds]))
    return histogram.as_json()


def swarm_report(cpu: float, at: float, **more: Any) -> dict[str, Any]:
    """Return what clients report that have nothing else to tell."""
    empty: dict[str, Any] = {
        "connects": delays_of(),
        "nodes": {},
        "cells": [],
        "faults": [],
        "connected": 0,
        "counts": {},
    }
    return {"cpu": cpu, "at": at, **empty, **more}


def figures_of_busy(**shares: float) -> LoadFigures:
    """Return the figures of processes that used so much of a CPU for a second, and then less."""
    figures = LoadFigures()
    for name, share in shares.items():
        helper = SilentHelper(name)
        for cpu, at in ((1.0, 10.0), (1.0 + share, 11.0), (1.0 + share, 12.0)):
            figures.take(helper, swarm_report(cpu, at))
    return figures
