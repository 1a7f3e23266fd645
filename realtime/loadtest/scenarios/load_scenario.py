"""What a scenario is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.reporting.live_view import LoadView
from realtime.loadtest.reporting.load_report import LoadReport


class LoadScenario(ABC):
    """Has clients do something, and writes down what came of it.

    Args:
        options: What was given on the command line, by name.
    """

    help: ClassVar[str]
    publishes: ClassVar[bool] = True  # whether it takes `--through`
    stands_alone: ClassVar[bool] = False  # whether it makes deployments of its own

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Take what it needs beside what all scenarios take."""

    @abstractmethod
    async def run(self, session: LoadSession, report: LoadReport) -> None:
        """Do it, and write into the report.

        Raises:
            LoadFailed: It can't be done, whatever the deployment does.
        """

    async def run_alone(self, options: SessionOptions, view: LoadView, report: LoadReport) -> None:
        """Do it without a deployment, where `stands_alone`.

        Raises:
            LoadFailed: It can't be done.
        """
        raise NotImplementedError
