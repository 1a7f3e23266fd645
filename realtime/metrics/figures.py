"""Every figure that Prometheus gets from us: its name, what it is, and where it comes from.

A new figure is a row here, and needs a row in docs/metrics.md, which a test holds. Names follow
https://prometheus.io/docs/practices/naming/: base units, `_total` for what only rises. No label has
a room's or a user's name, or anything else that strangers can make up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from realtime.metrics.metric_sources import Sources
from shardlayer import Histogram

PREFIX = "shardlayer_"

Kind = Literal["counter", "gauge", "histogram"]
Number = int | float
Found = Number | Histogram | Mapping[str, Number] | None
"""One value, one by each value of the figure's label, or None where this process has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: Without the prefix.
        kind: What it is to Prometheus.
        help: One sentence, without the period.
        read: Returns what this process has of it.
        label: The name of its own label; empty if it has none. All have `role` and `worker` beside.
            Two names have a comma between them, and so have the values that are read then.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[Sources], Found]
    label: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its own labels."""
        return tuple(self.label.split(",")) if self.label else ()


def _counter(name: str, help: str, read: Callable[[Sources], Found], label: str = "") -> Figure:
    return Figure(name=name, kind="counter", help=help, read=read, label=label)


def _gauge(name: str, help: str, read: Callable[[Sources], Found], label: str = "") -> Figure:
    return Figure(name=name, kind="gauge", help=help, read=read, label=label)


def _histogram(name: str, help: str, read: Callable[[Sources], Found]) -> Figure:
    return Figure(name=name, kind="histogram", help=help, read=read)


def _of(path: str) -> Callable[[Sources], Found]:
    """Read an attribute of an attribute, and call it if it can be; None where there is none."""

    def read(sources: Sources) -> Found:
        value: Any = sources
        for name in path.split("."):
            value = getattr(value, name)
            if value is None:
                return None
        found: Found = value() if callable(value) else value
        return int(found) if isinstance(found, bool) else found

    return read


def _stat(name: str) -> Callable[[Sources], Found]:
    return lambda sources: sources.stats.get(name)


def _stats(**names: str) -> Callable[[Sources], Found]:
    return lambda sources: (
        {label: sources.stats[name] for label, name in names.items()} if sources.stats else None
    )


def _dispatched(sources: Sources) -> Found:
    stats = sources.stats
    if not stats:
        return None
    targeted, fallback = stats["targeted"], stats["fallback"]
    return {
        "targeted": targeted,
        "fallback": fallback,
        "broadcast": max(stats["published"] - targeted - fallback, 0),
    }


def _by_shard(name: str) -> Callable[[Sources], Found]:
    return lambda sources: (
        {str(shard): getattr(counters, name) for shard, counters in enumerate(sources.shards)}
        or None
    )


def _each(path: str, *names: str) -> Callable[[Sources], Found]:
    """Read several numbers of one object, as values of a label."""

    def read(sources: Sources) -> Found:
        counters = getattr(sources, path)
        return None if counters is None else {name: getattr(counters, name) for name in names}

    return read


def _stream_outcomes(sources: Sources) -> Found:
    clients = sources.clients
    if clients is None:
        return None
    new = clients.streams - clients.streams_resumed
    return {"new": new, "resumed": clients.streams_resumed, "full": clients.streams_full}


def _api_requests(sources: Sources) -> Found:
    api = sources.api
    if api is None:
        return None
    return {f"{endpoint},{outcome}": count for (endpoint, outcome), count in api.requests.items()}


FIGURES: tuple[Figure, ...] = (
    # Connections
    _gauge("connections", "Connections that the server holds", _of("worker.held")),
    _gauge(
        "connections_capacity",
        "Connections that the server may hold; 0 is no limit",
        _of("worker.capacity"),
    ),
    _gauge(
        "draining",
        "1 while the server sends its clients away",
        _of("worker.is_draining"),
    ),
    _counter(
        "websockets_total",
        "WebSocket handshakes, by what became of them",
        _each("server", "accepted", "rejected", "refused_stopping", "full"),
        label="outcome",
    ),
    _gauge("event_streams", "Streams of events that are open", _of("clients.streams_open")),
    _counter(
        "event_streams_total",
        "Streams of events that were asked for, by what became of them",
        _stream_outcomes,
        label="outcome",
    ),
    _counter(
        "closed_total",
        "Connections that the server closed, by why",
        _each(
            "server",
            *("slow_closed", "fast_closed", "ping_timeouts", "message_timeouts", "drained"),
            *("messages_too_large", "lifetimes_ended"),
        ),
        label="reason",
    ),
    _counter(
        "http_refused_total",
        "HTTP requests that the server refused for their size or time, or their application's time",
        _each(
            "server",
            *("bodies_too_large", "requests_timed_out", "heads_too_large", "heads_timed_out"),
            "answers_timed_out",
        ),
        label="reason",
    ),
    _counter("pings_total", "Pings to clients that had been silent", _of("server.pings")),
    _counter(
        "applications_killed_total",
        "Applications that were cancelled, because they did not end after their client had",
        _of("server.applications_killed"),
    ),
    _counter(
        "http_closed_total",
        "HTTP connections that the server closed while they waited for a request, by why",
        _each("server", "idle_closed", "idle_displaced"),
        label="reason",
    ),
    _counter(
        "addresses_limited_total",
        "Connections and handshakes that the server refused with 429, by limit on their address",
        _each("server", "address_refused", "handshakes_refused"),
        label="limit",
    ),
    _counter(
        "given_back_total",
        "Connections that went back to the balancer, because too many files were open",
        _of("server.given_back"),
    ),
    _counter(
        "limited_total",
        "What the limits on clients refused, closed or left out, by limit",
        _each(
            "clients",
            *("slow_closed", "refused_writes", "rate_closed", "unused_closed", "users_closed"),
            *("publishes_refused", "users_publishes_refused", "frames_refused", "rooms_refused"),
            *("users_rooms_refused", "users_rooms_full"),
            *("rooms_over_limit", "rooms_full", "nodes_full", "too_large", "answers_cut"),
            *("messages_refused", "presence_cut", "presence_infos_failed", "origins_refused"),
            *("histories_limited", "forbidden", "admin_pages_refused"),
        ),
        label="limit",
    ),
    _counter(
        "rules_total",
        "Questions to rules, by whether their function was asked or its last answer still counted",
        _each("clients", "rules_asked", "rules_recalled"),
        label="outcome",
    ),
    _counter(
        "turns_waited_total",
        "Joins and readings of histories that waited for those of other clients",
        _of("clients.turns_waited"),
    ),
    _counter(
        "history_pages_total",
        "Pages of histories that were read for clients that had missed more than an answer holds",
        _of("clients.pages"),
    ),
    _counter(
        "resumes_total",
        "Rooms that clients came back to with a position, by whether all was recovered",
        _each("clients", "recovered", "not_recovered"),
        label="outcome",
    ),
    # The balancer
    _counter(
        "balancer_connections_total",
        "Connections that came to the balancer: handed over to a worker, refused with 503, or "
        "dropped without an answer",
        _each("balancer", "handed_over", "refused", "dropped"),
        label="outcome",
    ),
    _counter(
        "balancer_taken_back_total",
        "Connections that the balancer gave to a worker that did not take them",
        _of("balancer.taken_back"),
    ),
    _counter(
        "balancer_accept_errors_total",
        "How often the balancer could not accept connections, mostly for too many open files",
        _of("balancer.accept_errors"),
    ),
    # Rooms and deliveries
    _gauge("rooms", "Rooms with members in this process", _stat("rooms")),
    _gauge("subscriptions", "Members of rooms in this process", _stat("members")),
    _counter("deliveries_total", "Messages written to members of rooms", _stat("delivered")),
    _counter(
        "delivered_bytes_total",
        "Bytes of WebSocket frames written to members of rooms",
        _stat("written_bytes"),
    ),
    _counter(
        "compression_saved_bytes_total",
        "Bytes that compression saved; delivered_bytes_total does not include them",
        _stat("saved_bytes"),
    ),
    _gauge(
        "backlog_bytes",
        "Bytes of publications that arrived here and are not written yet",
        _stat("backlog_bytes"),
    ),
    _histogram(
        "delivery_seconds",
        "From a publication's arrival here until all members here were written to, of the "
        "oldest in a round of writing",
        _of("histograms.delivery_seconds"),
    ),
    _histogram(
        "end_to_end_seconds",
        "From a record's timestamp, or publish(), until all members here were written to, of "
        "the oldest in a round of writing",
        _of("histograms.end_to_end_seconds"),
    ),
    _counter(
        "dispatch_misrouted_total",
        "Publications that came for a room without members here",
        _stat("unwanted"),
    ),
    _counter(
        "lost_total",
        "Messages that members missed and can't get from a history, by cause",
        _stats(
            backlog="dropped", full_channel="missed_messages", announcement="dropped_announcements"
        ),
        label="cause",
    ),
    _counter(
        "calmed_total",
        "Publications to calm rooms that waited for the next write, or were replaced before it",
        _stats(delayed="delayed", conflated="conflated"),
        label="outcome",
    ),
    _counter(
        "gaps_total",
        "Rooms that had missed something, as a position check found",
        _stat("gaps_found"),
    ),
    _counter("resets_total", "Rooms whose members got a reset", _stat("resets")),
    _counter(
        "broken_total",
        "What came from Redis and could not be read, by kind",
        _stats(batch="broken_batches", entry="broken_entries", message="undecodable_messages"),
        label="kind",
    ),
    # Publishing
    _counter("publications_total", "Publications that Redis acknowledged", _stat("published")),
    _counter("publish_failures_total", "Publications that failed", _stat("failed")),
    _counter("publish_retries_total", "Calls that were sent again", _stat("retries")),
    _counter(
        "repeated_total",
        "Publications that were skipped, because their mark or idempotency key was known",
        _stat("repeated"),
    ),
    _counter(
        "dispatch_total",
        "Publications by the nodes that got them: those with members, all because the registry "
        "could not be trusted, or all because targeted dispatch is off",
        _dispatched,
        label="type",
    ),
    _histogram(
        "dispatch_fanout_size",
        "Messages to nodes that one call sent",
        _of("histograms.fanout"),
    ),
    _histogram(
        "batch_size",
        "Publications in one call",
        _of("histograms.batch_items"),
    ),
    _histogram(
        "redis_lookup_duration_seconds",
        "Duration of one call: the script that looks up nodes, writes histories and publishes",
        _of("histograms.call_seconds"),
    ),
    _histogram(
        "publish_duration_seconds",
        "From publish() to the acknowledgement, of the oldest publication of a call",
        _of("histograms.publish_seconds"),
    ),
    _counter(
        "redis_errors_total", "Calls that failed or were not answered in time", _stat("errors")
    ),
    _gauge(
        "redis_unheard_servers",
        "Redis servers that this process can't hear now",
        _stat("unheard_servers"),
    ),
    _gauge(
        "failing_tasks",
        "Tasks that failed and are not known to work again yet",
        _stat("failing_tasks"),
    ),
    _counter(
        "on_commit_total",
        "Publications of publish_on_commit, by what became of them",
        _each("on_commit", "published", "failed", "dropped"),
        label="outcome",
    ),
    _counter(
        "api_requests_total",
        "Requests of the HTTP API, by endpoint and what became of them",
        _api_requests,
        label="endpoint,outcome",
    ),
    _counter(
        "reports_total",
        "Reports that this process wrote about itself, by whether every server that keeps them "
        "took them",
        _each("reports", "taken", "missed"),
        label="outcome",
    ),
    _counter(
        "positions_unknown_total",
        "Pages that got no position, because Redis did not answer in time",
        _of("positions.unknown"),
    ),
    # Shards
    _gauge("shard_up", "1 if this process hears the shard", _of("shards_up"), label="shard"),
    _gauge("shard_rooms", "Rooms of the shard with members here", _by_shard("rooms"), "shard"),
    _gauge(
        "shard_subscriptions", "Members of the shard's rooms here", _by_shard("members"), "shard"
    ),
    _counter(
        "shard_deliveries_total",
        "Messages written to members of the shard's rooms",
        _by_shard("delivered"),
        "shard",
    ),
    _gauge(
        "shard_backlog_bytes",
        "Bytes of the shard's publications that are not written yet",
        _by_shard("backlog_bytes"),
        "shard",
    ),
    # Presence
    _gauge(
        "presence_connections",
        "Connections in rooms with presence that the shards know of",
        _stat("presence_connections"),
    ),
    # Process
    _histogram(
        "event_loop_delay_seconds",
        "How late the event loop came to what was due, measured five times a second",
        _of("loop_delays"),
    ),
    _counter(
        "event_loop_blocked_total",
        "How often something blocked the event loop for --blocking-threshold",
        _of("server.loop_blocked"),
    ),
    _gauge("process_resident_bytes", "Memory of the process", _of("resident_bytes")),
    _counter("process_cpu_seconds_total", "CPU of the process", _of("cpu_seconds")),
    # Kafka
    _counter("kafka_records_total", "Records that were published", _of("pool.records")),
    _gauge("kafka_lag_records", "Records that wait in Kafka", _of("pool.lag")),
    _gauge(
        "kafka_paused_partitions",
        "Partitions that wait for a Redis server, or for the topic of dead letters",
        _of("pool.paused"),
    ),
    _counter(
        "kafka_dead_letters_total",
        "Records that could not be published",
        _of("pool.skipped.total"),
    ),
    _histogram(
        "kafka_record_age_seconds",
        "From a record's timestamp until Redis had it, of the oldest of those published together",
        _of("pool.ages"),
    ),
    # Outbox
    _counter(
        "outbox_published_total",
        "Entries of the outbox that were published",
        _of("outbox.published"),
    ),
    _counter(
        "outbox_put_aside_total",
        "Entries of the outbox that could not be published",
        _of("outbox.put_aside"),
    ),
)


def read_all(sources: Sources, figures: Iterable[Figure] = FIGURES) -> dict[str, object]:
    """Return what this process has of the figures, by name, as JSON can say it."""
    found: dict[str, object] = {}
    for figure in figures:
        value = figure.read(sources)
        if isinstance(value, Histogram):
            found[figure.name] = {
                "bounds": list(value.bounds),
                "counts": list(value.counts),
                "sum": value.sum,
            }
        elif value is not None:
            found[figure.name] = dict(value) if isinstance(value, Mapping) else value
    return found
