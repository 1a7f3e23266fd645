"""Shardlayer: a sharded, batching, history-keeping channel layer and broadcast server for Django.

This module names the public API; the modules below it hold the code. Each of them is imported when
one of its names is first asked for (PEP 562). So a program that needs only the client, in
`shardlayer.client`, loads neither Django nor Channels nor Redis' library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shardlayer.aio.backoff import Backoff
    from shardlayer.aio.deadlines import Deadlines
    from shardlayer.aio.error_log import ErrorLog
    from shardlayer.aio.garbage import GC_THRESHOLD, spare_collections
    from shardlayer.aio.loop_delay import LoopDelay, stall_tolerant_timeout
    from shardlayer.aio.open_files import room_for_connections
    from shardlayer.aio.run_until_stopped import run_until_stopped
    from shardlayer.aio.tallies import Tally
    from shardlayer.aio.tasks import Tasks, is_cancelled, take_note
    from shardlayer.aio.throttled_log import Throttle, ThrottledLog
    from shardlayer.aio.ticks import next_tick
    from shardlayer.aio.token_buckets import Bucket, BucketTable
    from shardlayer.broker.presence_values import Attendee, Person, PresencePage
    from shardlayer.broker.process_reports import (
        MAX_REPORT,
        TOTALS_STEP,
        TOTALS_STEPS,
        ProcessReport,
        ServerMemory,
    )
    from shardlayer.broker.publisher_histograms import BATCH_ITEMS, CALL_SECONDS
    from shardlayer.broker.redis.server_report import ServerReport, probe
    from shardlayer.broker.redis.server_survey import ServerSurvey, survey
    from shardlayer.broker.values import PAGE, Page
    from shardlayer.core.channel_names import new_process
    from shardlayer.core.client_addresses import address_key
    from shardlayer.core.client_names import ClientName, is_client_name
    from shardlayer.core.close_codes import CLOSE_SLOW
    from shardlayer.core.events import events_are_told, tell_event
    from shardlayer.core.exceptions import (
        ConfigurationError,
        MessageTooLarge,
        ScriptFailed,
        ShardLayerError,
        ShardUnavailable,
        WireError,
        WireVersionError,
    )
    from shardlayer.core.frames import Broadcast
    from shardlayer.core.histogram import Histogram, doubling
    from shardlayer.core.hosts import Host
    from shardlayer.core.json_formatter import JsonFormatter
    from shardlayer.core.optional_packages import MissingExtra, needs_extra
    from shardlayer.core.options import LayerOptions
    from shardlayer.core.reserved_rooms import reserve_room
    from shardlayer.core.room_source import set_room_source
    from shardlayer.core.schemes import register_scheme
    from shardlayer.core.tracing import Delivered, PublishSpan, Tracer, set_tracer
    from shardlayer.core.types import (
        BEGINNING,
        CalmPolicy,
        HistoryPolicy,
        Mark,
        NodeId,
        Position,
        Publication,
        RoomInfo,
        RoomSummary,
        Sink,
        Worker,
    )
    from shardlayer.delivery.joined import Joined
    from shardlayer.layer import ShardedChannelLayer
    from shardlayer.layer.layer_counters import ShardCounters
    from shardlayer.layer.layer_histograms import LayerHistograms
    from shardlayer.layer.layer_reports import KnownReports, ShardPlace
    from shardlayer.layer.node import Node
__version__ = "0.1.0"

__all__ = [
    "BATCH_ITEMS",
    "BEGINNING",
    "CALL_SECONDS",
    "CLOSE_SLOW",
    "GC_THRESHOLD",
    "MAX_REPORT",
    "PAGE",
    "TOTALS_STEP",
    "TOTALS_STEPS",
    "Attendee",
    "Backoff",
    "Broadcast",
    "Bucket",
    "BucketTable",
    "CalmPolicy",
    "ClientName",
    "ConfigurationError",
    "Deadlines",
    "Delivered",
    "ErrorLog",
    "Histogram",
    "HistoryPolicy",
    "Host",
    "Joined",
    "JsonFormatter",
    "KnownReports",
    "LayerHistograms",
    "LayerOptions",
    "LoopDelay",
    "Mark",
    "MessageTooLarge",
    "MissingExtra",
    "Node",
    "NodeId",
    "Page",
    "Person",
    "Position",
    "PresencePage",
    "ProcessReport",
    "Publication",
    "PublishSpan",
    "RoomInfo",
    "RoomSummary",
    "ScriptFailed",
    "ServerMemory",
    "ServerReport",
    "ServerSurvey",
    "ShardCounters",
    "ShardLayerError",
    "ShardPlace",
    "ShardUnavailable",
    "ShardedChannelLayer",
    "Sink",
    "Tally",
    "Tasks",
    "Throttle",
    "ThrottledLog",
    "Tracer",
    "WireError",
    "WireVersionError",
    "Worker",
    "__version__",
    "address_key",
    "doubling",
    "events_are_told",
    "is_cancelled",
    "is_client_name",
    "needs_extra",
    "new_process",
    "next_tick",
    "probe",
    "register_scheme",
    "reserve_room",
    "room_for_connections",
    "run_until_stopped",
    "set_room_source",
    "set_tracer",
    "spare_collections",
    "stall_tolerant_timeout",
    "survey",
    "take_note",
    "tell_event",
]

# The same as above, for the running program; a test holds them together.
_PLACES: Final = {
    "Attendee": "shardlayer.broker.presence_values",
    "BATCH_ITEMS": "shardlayer.broker.publisher_histograms",
    "BEGINNING": "shardlayer.core.types",
    "Backoff": "shardlayer.aio.backoff",
    "Broadcast": "shardlayer.core.frames",
    "Bucket": "shardlayer.aio.token_buckets",
    "BucketTable": "shardlayer.aio.token_buckets",
    "CALL_SECONDS": "shardlayer.broker.publisher_histograms",
    "CLOSE_SLOW": "shardlayer.core.close_codes",
    "CalmPolicy": "shardlayer.core.types",
    "ClientName": "shardlayer.core.client_names",
    "ConfigurationError": "shardlayer.core.exceptions",
    "Deadlines": "shardlayer.aio.deadlines",
    "ErrorLog": "shardlayer.aio.error_log",
    "Delivered": "shardlayer.core.tracing",
    "GC_THRESHOLD": "shardlayer.aio.garbage",
    "Histogram": "shardlayer.core.histogram",
    "HistoryPolicy": "shardlayer.core.types",
    "Host": "shardlayer.core.hosts",
    "Joined": "shardlayer.delivery.joined",
    "JsonFormatter": "shardlayer.core.json_formatter",
    "KnownReports": "shardlayer.layer.layer_reports",
    "LayerHistograms": "shardlayer.layer.layer_histograms",
    "LayerOptions": "shardlayer.core.options",
    "LoopDelay": "shardlayer.aio.loop_delay",
    "MAX_REPORT": "shardlayer.broker.process_reports",
    "Mark": "shardlayer.core.types",
    "MessageTooLarge": "shardlayer.core.exceptions",
    "MissingExtra": "shardlayer.core.optional_packages",
    "Node": "shardlayer.layer.node",
    "NodeId": "shardlayer.core.types",
    "PAGE": "shardlayer.broker.values",
    "Page": "shardlayer.broker.values",
    "Person": "shardlayer.broker.presence_values",
    "Position": "shardlayer.core.types",
    "PresencePage": "shardlayer.broker.presence_values",
    "ProcessReport": "shardlayer.broker.process_reports",
    "Publication": "shardlayer.core.types",
    "PublishSpan": "shardlayer.core.tracing",
    "RoomInfo": "shardlayer.core.types",
    "RoomSummary": "shardlayer.core.types",
    "ScriptFailed": "shardlayer.core.exceptions",
    "ServerMemory": "shardlayer.broker.process_reports",
    "ServerReport": "shardlayer.broker.redis.server_report",
    "ServerSurvey": "shardlayer.broker.redis.server_survey",
    "ShardCounters": "shardlayer.layer.layer_counters",
    "ShardLayerError": "shardlayer.core.exceptions",
    "ShardPlace": "shardlayer.layer.layer_reports",
    "ShardUnavailable": "shardlayer.core.exceptions",
    "ShardedChannelLayer": "shardlayer.layer",
    "Sink": "shardlayer.core.types",
    "TOTALS_STEP": "shardlayer.broker.process_reports",
    "TOTALS_STEPS": "shardlayer.broker.process_reports",
    "Tally": "shardlayer.aio.tallies",
    "Tasks": "shardlayer.aio.tasks",
    "Throttle": "shardlayer.aio.throttled_log",
    "ThrottledLog": "shardlayer.aio.throttled_log",
    "Tracer": "shardlayer.core.tracing",
    "WireError": "shardlayer.core.exceptions",
    "WireVersionError": "shardlayer.core.exceptions",
    "Worker": "shardlayer.core.types",
    "address_key": "shardlayer.core.client_addresses",
    "doubling": "shardlayer.core.histogram",
    "events_are_told": "shardlayer.core.events",
    "is_cancelled": "shardlayer.aio.tasks",
    "is_client_name": "shardlayer.core.client_names",
    "needs_extra": "shardlayer.core.optional_packages",
    "new_process": "shardlayer.core.channel_names",
    "next_tick": "shardlayer.aio.ticks",
    "probe": "shardlayer.broker.redis.server_report",
    "register_scheme": "shardlayer.core.schemes",
    "reserve_room": "shardlayer.core.reserved_rooms",
    "room_for_connections": "shardlayer.aio.open_files",
    "run_until_stopped": "shardlayer.aio.run_until_stopped",
    "set_room_source": "shardlayer.core.room_source",
    "set_tracer": "shardlayer.core.tracing",
    "spare_collections": "shardlayer.aio.garbage",
    "stall_tolerant_timeout": "shardlayer.aio.loop_delay",
    "survey": "shardlayer.broker.redis.server_survey",
    "take_note": "shardlayer.aio.tasks",
    "tell_event": "shardlayer.core.events",
}


def __getattr__(name: str) -> Any:
    """Import a name of the public API from where it lives, once."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(place), name)
    return found


def __dir__() -> list[str]:
    """Name what there is, imported or not."""
    return sorted({*globals(), *__all__})
