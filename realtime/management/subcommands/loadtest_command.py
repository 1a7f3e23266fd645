"""`manage.py realtime loadtest SCENARIO`: a load test of a deployment that runs."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.conf import conf
from realtime.loadtest.agents.agent_arguments import (
    add_agent,
    add_agents,
    agent_key,
    run_agent,
)
from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_run import run_scenario
from realtime.loadtest.load_session import SessionOptions
from realtime.loadtest.load_target import BadTarget, LoadTarget, read_target, require_ours
from realtime.loadtest.metrics_reading import MetricsReader
from realtime.loadtest.reporting.live_view import LoadView, PlainView, QuietView
from realtime.loadtest.reporting.load_report import LoadReport
from realtime.loadtest.reporting.report_page import report_page
from realtime.loadtest.reporting.report_text import report_text
from realtime.loadtest.scenarios.load_scenario import LoadScenario
from realtime.loadtest.scenarios.scenario_names import SCENARIOS, scenario
from realtime.management.arguments import count

WAYS = ("publish", "kafka", "api", "client")
NOT_KEPT = 1  # exit code: the deployment does not keep a limit
FAILED = 3  # exit code: the load test itself failed; 2 is argparse's
_SECRET = frozenset({"api_key", "token", "metrics_key"})
_AGENT = "Hold clients for load tests that run on another machine."
_DEFAULT_URL = "ws://127.0.0.1:8000/ws/"


class LoadtestCommand(BaseCommand):
    """Runs one scenario, and says by its exit code whether all limits are kept."""

    help = "Test a running deployment with many clients; see docs/loadtest.md."
    requires_system_checks: list[str] = []
    uses_layer = False  # a layer in memory is told of where it matters

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the scenario with its own arguments."""
        parsers = parser.add_subparsers(
            dest="scenario", metavar="SCENARIO", required=True, title="scenarios"
        )
        for name in SCENARIOS:
            kind = scenario(name)
            own = parsers.add_parser(name, help=kind.help, description=kind.help)
            self._add_output(own)
            if issubclass(kind, LoadScenario):
                self._add_target(own)
                add_agents(own)
                if kind.publishes:
                    _add_ways(own)
            kind.add_arguments(own)

        agent = parsers.add_parser("agent", help=_AGENT, description=_AGENT)
        add_agent(agent)

    @staticmethod
    def _add_target(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            action="append",
            help=f"The WebSocket's address (default {_DEFAULT_URL}). If you give several, they "
            "lead to the same deployment, and the clients take them in turn.",
        )
        parser.add_argument(
            "--yes-i-own-it",
            metavar="HOST",
            help="If the host of --url is not this machine: confirms that it is yours to test.",
        )
        parser.add_argument(
            "--room-prefix",
            default="loadtest",
            help='How the rooms\' names begin (default "loadtest"); each run makes new ones.',
        )
        parser.add_argument(
            "--no-room-tokens",
            action="store_true",
            help="Join the rooms by the deployment's rules. Without this option each client brings "
            "a room token, which is signed with SECRET_KEY.",
        )
        parser.add_argument(
            "--origin", help="The Origin header of the handshakes (default: the host's)."
        )
        parser.add_argument(
            "--per-address",
            type=int,
            default=400,
            metavar="N",
            help="On loopback: how many connections come from one address, since servers limit "
            "that (default 400; 0: all come from 127.0.0.1).",
        )
        parser.add_argument(
            "--metrics",
            action="append",
            metavar="URL",
            help="The address of a machine's /metrics (default: on the host of --url). Give it "
            "once for each machine.",
        )
        parser.add_argument(
            "--metrics-key",
            default=os.environ.get("LOADTEST_METRICS_KEY"),
            help="The key of /metrics (default: the variable LOADTEST_METRICS_KEY, or HEALTH_KEY).",
        )

    @staticmethod
    def _add_output(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--processes",
            type=count,
            help="Processes of this machine that hold clients (default: half of the CPUs, or none "
            "with --agents).",
        )
        parser.add_argument("--html", type=Path, metavar="FILE", help="Write a page with plots.")
        parser.add_argument(
            "--json", action="store_true", help="Print the report as JSON, and nothing else."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the scenario, and tell what it found."""
        name: str = options["scenario"]
        if name == "agent":
            self._be_agent(options)
            return
        try:
            kind = scenario(name)
            session = _session(options) if issubclass(kind, LoadScenario) else _alone(options)
            called = {
                option.replace("_", "-"): str(value)
                for option, value in options.items()
                if value is not None and option not in _SECRET and option not in _DJANGOS
            }
            running = run_scenario(
                name, kind(options), session, self._view(json=options["json"]), called
            )
            report = asyncio.run(running)
        except BadTarget as error:
            raise CommandError(str(error), returncode=FAILED) from error
        except LoadFailed as error:
            raise CommandError(f"The load test failed. {error}", returncode=FAILED) from error
        self._tell(report, options)

    def _be_agent(self, options: Mapping[str, Any]) -> None:
        try:
            asyncio.run(run_agent(options, self._write))
        except LoadFailed as error:
            raise CommandError(str(error), returncode=FAILED) from error
        except KeyboardInterrupt:
            self._write("Stopped.")

    def _view(self, *, json: bool) -> LoadView:
        if json:
            return QuietView()
        if self.stdout.isatty() and importlib.util.find_spec("rich") is not None:
            from realtime.loadtest.reporting.rich_view import RichView

            return RichView()
        return PlainView(self._write)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _tell(self, report: LoadReport, options: Mapping[str, Any]) -> None:
        page: Path | None = options["html"]
        if page is not None:
            page.write_text(report_page(report))
        if options["json"]:
            self.stdout.write(orjson.dumps(report.as_json()).decode())
        else:
            for line in report_text(report):
                self.stdout.write(line)
            for check in report.checks:
                style = self.style.SUCCESS if check.is_kept else self.style.ERROR
                self.stdout.write(
                    style(f"{'kept' if check.is_kept else 'NOT KEPT':<9} {check.text}")
                )
            if page is not None:
                self.stdout.write(f"The report is in {page}.")
        missed = [check.text for check in report.checks if not check.is_kept]
        if missed:
            raise CommandError(f"Not kept: {'; '.join(missed)}", returncode=NOT_KEPT)


_DJANGOS = frozenset(
    {"settings", "pythonpath", "traceback", "no_color", "force_color", "verbosity", "skip_checks"}
    | {"json", "html", "scenario"}
)


def _session(options: Mapping[str, Any]) -> SessionOptions:
    """Return what a load test of a deployment takes.

    Raises:
        BadTarget: It is not the caller's to test.
        LoadFailed: Something is missing.
    """
    targets = [read_target(url) for url in options["url"] or [_DEFAULT_URL]]
    for target in targets:
        require_ours(target, options["yes_i_own_it"])
    agents = [agent for agent in options["agents"] for _ in range(options["agent_processes"])]
    return SessionOptions(
        targets=targets,
        origin=options["origin"] or "",
        processes=options["processes"] or (0 if agents else _half_of_the_cpus()),
        agents=agents,
        agent_key=agent_key(options) if agents else "",
        room_prefix=options["room_prefix"],
        signs_rooms=not options["no_room_tokens"],
        way=_way(targets[0], options),
        metrics=MetricsReader(
            options["metrics"] or [f"{targets[0].http}/metrics"],
            options["metrics_key"] or conf().health_key,
        ),
        per_address=options["per_address"],
    )


def _alone(options: Mapping[str, Any]) -> SessionOptions:
    """Return what a load test of deployments of its own takes."""
    return SessionOptions(
        targets=[],
        origin="",
        processes=options["processes"] or _half_of_the_cpus(),
        room_prefix="loadtest",
        signs_rooms=False,
        way={"way": "publish"},
        metrics=MetricsReader([], ""),
        per_address=400,
    )


def _half_of_the_cpus() -> int:
    return max(1, (os.cpu_count() or 2) // 2)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_argument_group("how it is published")
    ways.add_argument(
        "--through",
        choices=WAYS,
        default="publish",
        help="publish: realtime.publish_many with this project's settings (default); kafka: "
        "records that the deployment's pool reads; api: the HTTP API; client: a WebSocket.",
    )
    ways.add_argument("--topic", help="kafka: the topic (default: the first of KAFKA_TOPICS).")
    ways.add_argument(
        "--bootstrap", metavar="HOST:PORT,…", help="kafka: the brokers (default: the settings')."
    )
    ways.add_argument(
        "--api", metavar="URL", help="api: where /api/batch is (default: on the host of --url)."
    )
    ways.add_argument(
        "--api-key",
        default=os.environ.get("LOADTEST_API_KEY"),
        help="api: a key that opens the rooms (default: the variable LOADTEST_API_KEY).",
    )
    ways.add_argument(
        "--token",
        default=os.environ.get("LOADTEST_TOKEN", ""),
        help="client: the token of the client that publishes (default: the variable "
        "LOADTEST_TOKEN).",
    )


def _way(target: LoadTarget, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name of the way to publish, with its arguments.

    Raises:
        LoadFailed: Something is missing.
    """
    through = options.get("through", "publish")
    if through == "kafka":
        if importlib.util.find_spec("aiokafka") is None:
            raise LoadFailed("--through kafka needs: pip install 'shardlayer[kafka]'")
        brokers = options["bootstrap"]
        return {
            "way": "kafka",
            "topic": options["topic"] or conf().kafka_topics[0],
            "bootstrap": brokers.split(",") if brokers else list(conf().kafka_bootstrap_servers),
        }
    if through == "api":
        if not options["api_key"]:
            raise LoadFailed(
                "--through api needs --api-key, which `manage.py realtime apikey create` makes."
            )
        url = options["api"] or f"{target.http}/api/batch"
        return {"way": "api", "url": url, "key": options["api_key"]}
    if through == "client":
        return {
            "way": "client",
            "target": target.told(options["origin"] or ""),
            "token": options["token"],
        }
    return {"way": "publish"}
