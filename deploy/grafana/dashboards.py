"""Writes the dashboards: `python deploy/grafana/dashboards.py`.

A dashboard is a list of rows, a row a list of panels, a panel a title, a unit and its queries. The
files in dashboards/ are made from that and not edited; a test compares them, and runs each query
against a real Prometheus.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RATE = "$__rate_interval"
WIDTH = 24  # of Grafana's grid
HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: What it answers.
        unit: Grafana's name of the unit.
        queries: Of PromQL, each with its legend.
        about: One sentence more.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""


@dataclass(frozen=True)
class Dashboard:
    """One page.

    Attributes:
        uid: Names it in addresses.
        title: Its title.
        rows: Panels, from the left to the right, by row.
        variables: Names of variables, each with the query for its values.
    """

    uid: str
    title: str
    rows: tuple[tuple[Panel, ...], ...]
    variables: tuple[tuple[str, str], ...] = ()


def _rate(name: str, selector: str = "", by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate(shardlayer_{name}{selector}[{RATE}]))"


def _quantile(share: float, name: str, selector: str = "") -> str:
    buckets = f"sum by (le) (rate(shardlayer_{name}_bucket{selector}[{RATE}]))"
    return f"histogram_quantile({share}, {buckets})"


def _spread(
    title: str, name: str, selector: str = "", *, unit: str = "s", about: str = ""
) -> Panel:
    queries = ((_quantile(0.5, name, selector), "p50"), (_quantile(0.99, name, selector), "p99"))
    return Panel(title, unit, queries, about)


OVERVIEW = Dashboard(
    uid="shardlayer-overview",
    title="Shardlayer: overview",
    rows=(
        (
            Panel(
                "Connections",
                "short",
                (
                    ("sum by (instance) (shardlayer_connections)", "{{instance}}"),
                    ("sum(shardlayer_connections_capacity)", "capacity"),
                ),
            ),
            Panel(
                "Deliveries", "ops", ((_rate("deliveries_total", by="instance"), "{{instance}}"),)
            ),
            Panel("Publications", "ops", ((_rate("publications_total", by="role"), "{{role}}"),)),
        ),
        (
            _spread(
                "From publish() to Redis",
                "publish_duration_seconds",
                about="Of the oldest publication of each call.",
            ),
            _spread(
                "In the worker, until all are written to",
                "delivery_seconds",
                about="Of the oldest publication of each round of writing.",
            ),
            _spread(
                "The whole way, from record or publish() to the sockets",
                "end_to_end_seconds",
                about="Of the oldest publication of each round of writing. Two machines' clocks.",
            ),
            _spread("Delay of the event loops", "event_loop_delay_seconds"),
        ),
        (
            Panel(
                "Missed without a history",
                "ops",
                ((_rate("lost_total", by="cause"), "{{cause}}"),),
                "Should be 0.",
            ),
            Panel(
                "Gaps, resets, clients that came back to less",
                "ops",
                (
                    (_rate("gaps_total"), "gaps healed"),
                    (_rate("resets_total"), "resets told"),
                    (_rate("resumes_total", '{outcome="not_recovered"}'), "not recovered"),
                ),
            ),
            Panel(
                "Refused by limits",
                "ops",
                (
                    (_rate("limited_total", by="limit"), "{{limit}}"),
                    (_rate("closed_total", by="reason"), "{{reason}}"),
                    (_rate("addresses_limited_total", by="limit"), "{{limit}}"),
                    (_rate("http_refused_total", by="reason"), "{{reason}}"),
                    (_rate("http_closed_total", '{reason="idle_displaced"}'), "idle_displaced"),
                    (_rate("websockets_total", '{outcome="full"}'), "worker full"),
                    (_rate("balancer_connections_total", '{outcome="refused"}'), "balancer full"),
                ),
            ),
        ),
        (
            Panel("Who is told", "ops", ((_rate("dispatch_total", by="type"), "{{type}}"),)),
            Panel(
                "Redis",
                "short",
                (
                    ("max(shardlayer_redis_unheard_servers)", "servers not heard"),
                    (_rate("redis_errors_total"), "errors a second"),
                    ("max(shardlayer_failing_tasks)", "failing tasks"),
                ),
            ),
            Panel(
                "Memory",
                "bytes",
                (
                    (
                        "sum by (instance, role) (shardlayer_process_resident_bytes)",
                        "{{instance}} {{role}}",
                    ),
                ),
            ),
        ),
    ),
)

_OF_NODE = '{instance="$instance"}'
NODE = Dashboard(
    uid="shardlayer-node",
    title="Shardlayer: one node",
    variables=(("instance", "label_values(shardlayer_rooms, instance)"),),
    rows=(
        (
            Panel(
                "Connections by worker",
                "short",
                ((f"shardlayer_connections{_OF_NODE}", "worker {{worker}}"),),
            ),
            Panel(
                "Subscriptions by worker",
                "short",
                ((f"shardlayer_subscriptions{_OF_NODE}", "worker {{worker}}"),),
            ),
            Panel(
                "Deliveries by worker",
                "ops",
                ((_rate("deliveries_total", _OF_NODE, by="worker"), "worker {{worker}}"),),
            ),
        ),
        (
            Panel(
                "CPU by process",
                "percentunit",
                (
                    (
                        _rate("process_cpu_seconds_total", _OF_NODE, by="role, worker"),
                        "{{role}} {{worker}}",
                    ),
                ),
            ),
            Panel(
                "Memory by process",
                "bytes",
                ((f"shardlayer_process_resident_bytes{_OF_NODE}", "{{role}} {{worker}}"),),
            ),
            _spread("Delay of the event loops", "event_loop_delay_seconds", _OF_NODE),
        ),
        (
            Panel(
                "Not written yet",
                "bytes",
                ((f"shardlayer_backlog_bytes{_OF_NODE}", "worker {{worker}}"),),
            ),
            Panel(
                "Bytes written",
                "Bps",
                ((_rate("delivered_bytes_total", _OF_NODE, by="worker"), "worker {{worker}}"),),
            ),
            Panel(
                "Handshakes",
                "ops",
                ((_rate("websockets_total", _OF_NODE, by="outcome"), "{{outcome}}"),),
            ),
        ),
    ),
)

_OF_SHARD = '{shard="$shard"}'
SHARD = Dashboard(
    uid="shardlayer-shard",
    title="Shardlayer: one shard",
    variables=(("shard", "label_values(shardlayer_shard_up, shard)"),),
    rows=(
        (
            Panel(
                "Processes that hear it",
                "short",
                ((f"sum(shardlayer_shard_up{_OF_SHARD})", "processes"),),
            ),
            Panel(
                "Rooms with members",
                "short",
                ((f"sum by (instance) (shardlayer_shard_rooms{_OF_SHARD})", "{{instance}}"),),
            ),
            Panel(
                "Subscriptions",
                "short",
                (
                    (
                        f"sum by (instance) (shardlayer_shard_subscriptions{_OF_SHARD})",
                        "{{instance}}",
                    ),
                ),
            ),
        ),
        (
            Panel(
                "Deliveries",
                "ops",
                ((_rate("shard_deliveries_total", _OF_SHARD, by="instance"), "{{instance}}"),),
            ),
            Panel(
                "Not written yet",
                "bytes",
                (
                    (
                        f"sum by (instance) (shardlayer_shard_backlog_bytes{_OF_SHARD})",
                        "{{instance}}",
                    ),
                ),
            ),
            Panel(
                "Share of all deliveries",
                "percentunit",
                (
                    (
                        f"{_rate('shard_deliveries_total', _OF_SHARD)} / "
                        f"{_rate('shard_deliveries_total')}",
                        "share",
                    ),
                ),
                "An even spread over 32 shards is 3 %. One busy room makes its shard's larger.",
            ),
        ),
    ),
)

KAFKA = Dashboard(
    uid="shardlayer-kafka",
    title="Shardlayer: Kafka and the outbox",
    rows=(
        (
            Panel(
                "Records", "ops", ((_rate("kafka_records_total", by="instance"), "{{instance}}"),)
            ),
            Panel("Lag", "short", (("sum(shardlayer_kafka_lag_records)", "records"),)),
            _spread(
                "From a record's timestamp until Redis has it",
                "kafka_record_age_seconds",
                about="Of the oldest of the records that were taken together.",
            ),
        ),
        (
            Panel(
                "Paused partitions",
                "short",
                (("sum(shardlayer_kafka_paused_partitions)", "partitions"),),
                "They wait for a shard that is away.",
            ),
            Panel("Dead letters", "ops", ((_rate("kafka_dead_letters_total"), "records"),)),
            Panel(
                "Outbox",
                "ops",
                (
                    (_rate("outbox_published_total"), "published"),
                    (_rate("outbox_put_aside_total"), "put aside"),
                ),
            ),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, NODE, SHARD, KAFKA)


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    for y, row in enumerate(dashboard.rows):
        width = WIDTH // len(row)
        for x, panel in enumerate(row):
            panels.append(
                {
                    "id": len(panels) + 1,
                    "type": "timeseries",
                    "title": panel.title,
                    "description": panel.about,
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "gridPos": {"h": HEIGHT, "w": width, "x": x * width, "y": y * HEIGHT},
                    "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                    "targets": [
                        {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend}
                        for n, (query, legend) in enumerate(panel.queries)
                    ],
                }
            )
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["shardlayer"],
        "schemaVersion": 39,
        "version": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": name,
                    "type": "query",
                    "query": query,
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "refresh": 2,
                    "sort": 3,
                }
                for name, query in dashboard.variables
            ]
        },
        "panels": panels,
    }


def text_of(dashboard: Dashboard) -> str:
    """Return the text of a dashboard's file."""
    return json.dumps(as_json(dashboard), indent=2) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (HERE / "dashboards" / f"{each.uid}.json").write_text(text_of(each))
