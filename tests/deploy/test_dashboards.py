"""Dashboards and alerts: each query is asked of a real Prometheus that scrapes two nodes."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from jsonschema import Draft202012Validator
from websockets.sync.client import connect
from websockets.typing import Origin

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from demo.embedded.ports import answers
from tests.realtime.process import BIN, Process, manage
from tests.tools import find
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MODULE_TIMEOUT = 240  # seconds; processes start while others do
MADE = runpy.run_path(str(DEPLOY / "grafana" / "dashboards.py"), run_name="dashboards")
KEY = "the key of the operators"

SCRAPE = """
global: { scrape_interval: 1s }
rule_files: ["%s"]
scrape_configs:
  - job_name: shardlayer
    authorization: { credentials: "%s" }
    static_configs: [{ targets: %s }]
"""


class Prometheus:
    """A real one, that scrapes some nodes each second."""

    def __init__(self, directory: Path, targets: list[str]) -> None:
        config = directory / "prometheus.yml"
        alerts = DEPLOY / "prometheus" / "alerts.yml"
        config.write_text(SCRAPE % (alerts, KEY, json.dumps(targets)))
        self.port = free_port()
        self.process = Process(
            [
                str(find("prometheus")),
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            log=directory / "prometheus.log",
        )

    def query(self, query: str) -> list[Any]:
        """Return what a query finds now."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urlencode({'query': query})}"
        with urlopen(address, timeout=PATIENCE) as response:
            found: list[Any] = json.load(response)["data"]["result"]
        return found


async def _produce(kafka: EmbeddedTansu) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait("figures", b"1", key=b"machine.m")


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, kafka_broker: EmbeddedTansu
) -> Iterator[Prometheus]:
    """Two nodes with a client each, a pool with a record, an outbox, a balancer; scraped."""
    directory = tmp_path_factory.mktemp("nodes")
    kafka_broker.create_topic("figures", partitions=1)
    asyncio.run(_produce(kafka_broker))
    with EmbeddedValkey(directory=directory / "valkey") as redis:
        ports = [free_port(), free_port()]
        processes = []
        for number, port in enumerate(ports):
            environ = {
                "DJANGO_SETTINGS_MODULE": "tests.realtime.metrics.metrics_settings",
                "REDIS_URL": redis.url,
                "METRICS_DIRECTORY": str(directory / f"metrics-{number}"),
                "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
                "KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
            }
            worker = [str(BIN / "shardlayer-daphne"), "-p", str(port), "--capacity", "100"]
            log = directory / f"worker-{number}.log"
            processes.append(Process([*worker, "config.asgi:application"], log=log, **environ))
        migrate = Process(manage("migrate", "-v", "0"), log=directory / "migrate.log", **environ)
        with migrate:
            wait_until(lambda: not migrate.runs(), within=PATIENCE)
        outbox = Process(manage("runoutbox"), log=directory / "outbox.log", **environ)
        pool = Process(
            manage("runkafka", "--topics", "figures", "--from", "earliest"),
            log=directory / "pool.log",
            **environ,
        )
        balancer = Process(
            manage("runbalancer", "--port", "0", "--socket", str(directory / "balancer.sock")),
            log=directory / "balancer.log",
            **environ,
        )
        server = Prometheus(directory, [f"127.0.0.1:{port}" for port in ports])
        with processes[0], processes[1], outbox, pool, balancer, server.process:
            for port in (*ports, server.port):
                wait_until(lambda: answers(port), within=PATIENCE)  # noqa: B023
            one, two = (
                connect(
                    f"ws://127.0.0.1:{port}/ws/?room=machine.m",
                    origin=Origin(f"http://127.0.0.1:{port}"),
                )
                for port in ports
            )
            with one, two:
                end = time.monotonic() + PATIENCE
                number = 0
                while time.monotonic() < end:
                    number += 1
                    command = {"id": number, "publish": {"room": "machine.m", "data": number}}
                    one.send(json.dumps(command))
                    time.sleep(0.2)
                    if number > 40 and not _missing(server):
                        break
                yield server


def _missing(server: Prometheus) -> list[str]:
    """Return the queries of dashboards that find nothing yet."""
    return [query for query in _queries() if not server.query(query)]


def _queries() -> list[str]:
    """Return the queries of all panels as Grafana asks them."""
    return [
        query.replace("$__rate_interval", "10s")
        .replace('"$shard"', '"31"')
        .replace('instance="$instance"', 'instance=~".+"')
        for dashboard in MADE["DASHBOARDS"]
        for row in dashboard.rows
        for panel in row
        for query, _ in panel.queries
    ]


def test_files_are_what_their_source_makes() -> None:
    """Run `python deploy/grafana/dashboards.py` after a change."""
    folder = DEPLOY / "grafana" / "dashboards"
    made = {f"{each.uid}.json": MADE["text_of"](each) for each in MADE["DASHBOARDS"]}
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


@pytest.mark.parametrize(
    "path", sorted((DEPLOY / "grafana" / "dashboards").iterdir()), ids=lambda path: path.stem
)
def test_files_are_dashboards_to_grafana(path: Path) -> None:
    """By its schema; panels have numbers of their own, and none lies on another."""
    dashboard = json.loads(path.read_text())
    schema = json.loads(Path(__file__).with_name("grafana-dashboard.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(dashboard)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.needs("prometheus")
@pytest.mark.timeout(MODULE_TIMEOUT)
def test_each_panel_shows_something(prometheus: Prometheus) -> None:
    """No query names what there is not."""
    assert _missing(prometheus) == []


# What is true for a while: of a busy machine, and of a Redis that has just begun.
AT_FIRST = {"ShardlayerLoopBlocked", "ShardlayerFallback"}


@pytest.mark.needs("prometheus")
@pytest.mark.timeout(MODULE_TIMEOUT)
def test_each_alert_asks_for_figures_that_there_are(prometheus: Prometheus) -> None:
    """Without its threshold an alert's expression finds something; with it, nothing."""
    for rule in _rules():
        for name in set(re.findall(r"shardlayer_\w+", rule["expr"])):
            assert prometheus.query(name), f"{rule['alert']}: {name}"
        if rule["alert"] not in AT_FIRST:
            assert prometheus.query(rule["expr"]) == [], rule["alert"]


@pytest.mark.needs("promtool")
def test_promtool_takes_the_alerts() -> None:
    """Syntax, durations, labels."""
    promtool, rules = str(find("promtool")), str(DEPLOY / "prometheus" / "alerts.yml")
    checked = subprocess.run(
        [promtool, "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_has_its_lines_in_the_runbook() -> None:
    """The link leads to a heading."""
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace("'", "").replace(" ", "-") for heading in headings}
    links = {rule["annotations"]["runbook"] for rule in _rules()}
    assert links == {f"docs/runbook.md#{anchor}" for anchor in anchors}


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules
