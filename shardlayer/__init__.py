"""Shardlayer: a sharded, batching, history-keeping channel layer and broadcast server for Django.

What stands here is the public API; the modules below are where it lives.
"""

from shardlayer.aio.backoff import Backoff
from shardlayer.aio.deadlines import Deadlines
from shardlayer.aio.garbage import GC_THRESHOLD, spare_collections
from shardlayer.aio.open_files import room_for_connections
from shardlayer.aio.run_until_stopped import run_until_stopped
from shardlayer.aio.tallies import Tally
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import Throttle, ThrottledLog
from shardlayer.aio.token_buckets import Bucket, BucketTable
from shardlayer.broker.presence_values import Attendee, Person, PresencePage
from shardlayer.broker.process_reports import (
    MAX_REPORT,
    TOTALS_STEP,
    TOTALS_STEPS,
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
    "Histogram",
    "HistoryPolicy",
    "Host",
    "Joined",
    "JsonFormatter",
    "KnownReports",
    "LayerHistograms",
    "LayerOptions",
    "Mark",
    "MessageTooLarge",
    "MissingExtra",
    "Node",
    "NodeId",
    "Page",
    "Person",
    "Position",
    "PresencePage",
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
    "is_client_name",
    "needs_extra",
    "new_process",
    "probe",
    "register_scheme",
    "reserve_room",
    "room_for_connections",
    "run_until_stopped",
    "set_room_source",
    "set_tracer",
    "spare_collections",
    "survey",
    "tell_event",
]
