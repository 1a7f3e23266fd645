"""What a scenario is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.reporting.live_view import LoadView
from realtime.loadtest.reporting.load_report import LoadReport


class Scenario(ABC):
    """Has clients do something, and writes down what came of it.

    Args:
        options: What was given on the command line, by name.
    """

    help: ClassVar[str]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take what it needs beside what all scenarios take."""


class LoadScenario(Scenario):
    """Tests a deployment that runs."""

    publishes: ClassVar[bool] = True  # whether it takes `--through`

    @abstractmethod
    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Do it, and write into the report.

        Raises:
            LoadFailed: It can't be done, whatever the deployment does.
        """


class LoopbackScenario(Scenario):
    """Tests deployments that it makes for itself, on loopback."""

    @abstractmethod
    async def run(self, options: SessionOptions, view: LoadView, report: LoadReport) -> None:
        """Do it, and write into the report.

        Raises:
            LoadFailed: It can't be done.
        """
