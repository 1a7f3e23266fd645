"""The options of a channel layer: every limit, its default and its unit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from re import Pattern
from typing import Any

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import DEFAULT_URL, Host, parse_hosts
from shardlayer.core.redis_clients import require_valid
from shardlayer.core.reserved_rooms import reserved_policy
from shardlayer.core.room_options import (
    HISTORY_SIZE,
    HISTORY_TTL,
    NO_HISTORY,
    read_calm,
    read_history,
)
from shardlayer.core.room_source import options_of_source
from shardlayer.core.types import CalmPolicy, HistoryPolicy

SHARDS = 32
MAX_SHARDS = 256
BUNDLES = 2  # of each server's shards
PREFIX = "rt"

META_TTL = 30 * 86_400.0  # seconds
META_TTL_PER_PUBLICATION = 86_400.0  # seconds

LEASE_TTL = 60.0  # seconds
LINGER = 2.0  # seconds
MEMBERS_INTERVAL = 2.0  # seconds
PROBE_INTERVAL = 3.0  # seconds
PROBE_TIMEOUT = 5.0  # seconds

BATCH_SIZE = 400  # publications, some 4 ms of Redis
MAX_BATCH_SIZE = 5_000  # publications; a script can hand some 8,000 values to a command
BATCH_BYTES = 1_048_576  # bytes
MAX_PENDING = 10_000  # publications
PUBLISH_TIMEOUT = 5.0  # seconds
MAX_PUBLISH_TIMEOUT = 240.0  # seconds; Redis remembers a publisher's last batch for 300
WAIT_REPLICAS = 0  # replicas
IDEMPOTENCY_TTL = 300.0  # seconds
MAX_MESSAGE_SIZE = 1_048_576  # bytes

POSITION_CHECK_INTERVAL = 40.0  # seconds
QUEUE_CHECK_INTERVAL = 5.0  # seconds
PRESENCE_DELAY = 0.1  # seconds
PRESENCE_LINGER = 0.0  # seconds
PRESENCE_NEWS_INTERVAL = 1.0  # seconds
EPOCH_CHECKS = 3  # position checks without which an epoch that nothing was published in goes
MAX_BACKLOG = 33_554_432  # bytes
SLICE_SIZE = 1_000  # members
WRITE_BYTES = 65_536  # bytes

CAPACITY = 100  # messages
EXPIRY = 60.0  # seconds
GROUP_EXPIRY = 86_400.0  # seconds
SERIALIZER_FORMAT = "msgpack"

WITHOUT_MEANING = {
    "random_prefix_length": "queues are lists, in which equal messages are two messages",
}
"""Options of channels_redis that have no meaning here, and why. Accepted with a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOptions:
    """The options of one channel layer: the keys of `CONFIG` in `CHANNEL_LAYERS`.

    Attributes:
        hosts: The Redis servers (see hosts.py). Shard i lives on server i modulo their number.
            `memory://` or `memory://NAME` is a server inside this process.
        cluster: Whether `hosts` are nodes of a Redis Cluster; any of them will do.
        shards: Partitions of the group namespace. All processes must agree.
        bundles: Into how many bundles the shards of one server are divided. One call publishes to
            all shards of a bundle. With as many bundles as `shards`, each call goes to one shard.
            That is so in a Cluster, and a proxy needs it that refuses scripts over several slots.
        prefix: Begins every key and pub/sub channel.
        history: How much a room remembers, by a glob of its name. The first glob that matches
            counts; a room that none matches keeps no history.
        calm: How often members are written to, by a glob of the room's name. The first glob that
            matches counts; a room that none matches is written to at once.
        meta_ttl: Seconds that a quiet room's offset and epoch are kept, at most.
        meta_ttl_per_publication: Seconds that these are kept for each publication that the room
            had. So a name that was used once goes sooner than a busy one. 0: `meta_ttl` for all.
        lease_ttl: Seconds until a node that does not renew its lease is forgotten; it renews
            three times in that time.
        linger: Seconds that a node stays registered for a room after its last member left.
        members_interval: Seconds between two reports of a node's member counts.
        probe_interval: Seconds after which a connection that heard nothing is tried: the node
            publishes something to itself.
        probe_timeout: Seconds within which the node must hear that, or the connection is replaced.
        position_check_interval: Seconds after which a node asks again where its rooms with history
            stand, and heals what it finds missing.
        queue_check_interval: Seconds after which a receiver of a channel that several may receive
            looks into its queue again. The receiver that was woken for a message may have died.
        presence_delay: Seconds for which a node gathers who comes and who leaves before it tells
            a shard. Only for rooms that have presence.
        presence_linger: Seconds for which a client that left a room still counts, so that nobody
            goes who loads a page again; 0: a client has gone at once.
        presence_news_interval: Seconds for which a node gathers who comes and who leaves before it
            tells the members of a large room, one of more than 100 people.
        batch_size: Publications in one batch, at most.
        batch_bytes: Bytes in one batch, at most; one larger message goes alone.
        max_pending: Publications that may wait for one bundle of shards. Past that, callers wait.
        publish_timeout: Seconds until a publication that Redis did not acknowledge raises
            ShardUnavailable.
        wait_replicas: Replicas that must have a publication before it is acknowledged. With 1 or
            more, a failover loses no acknowledged one. A server with fewer does not acknowledge.
        idempotency_ttl: Seconds for which an idempotency key stands for its first publication.
        max_message_size: Bytes of one publication, at most, and of a Channels message as JSON text.
        max_backlog: Bytes of publications of one shard that may wait in a node to be written to
            its members. Past it all of them are dropped, and rooms go on from their histories.
            As many bytes of announcements may wait; one that is too much is dropped.
        slice_size: Members that are written to before the event loop gets a turn.
        write_bytes: Bytes that are joined into one write to a member, at most; one larger
            message goes alone.
        capacity: Messages that a channel holds before it is full.
        channel_capacity: Capacities of channels, by glob or compiled pattern.
        expiry: Seconds until a channel's message that nobody received goes.
        group_expiry: Seconds until a membership of a channel in a group ends.
        serializer_format: How Channels messages are encoded: `msgpack` or `json`.
        on_disconnect: Type of a message that each process-local channel gets when a server can't be
            heard any more; empty for none. Until it is heard again, only messages to groups are
            lost.
        on_reconnect: The same for when it can be heard again.
        symmetric_encryption_keys: Secrets that encrypt Channels messages; the first encrypts,
            all decrypt. Publications, which clients read, are not encrypted.
    """

    hosts: tuple[Host, ...] = (Host(url=DEFAULT_URL),)
    cluster: bool = False
    shards: int = SHARDS
    bundles: int = BUNDLES
    prefix: str = PREFIX
    history: Mapping[str, HistoryPolicy] = field(
        default_factory=lambda: {"*": HistoryPolicy(size=HISTORY_SIZE, ttl=HISTORY_TTL)}
    )
    calm: Mapping[str, CalmPolicy] = field(default_factory=dict)
    meta_ttl: float = META_TTL
    meta_ttl_per_publication: float = META_TTL_PER_PUBLICATION
    lease_ttl: float = LEASE_TTL
    linger: float = LINGER
    members_interval: float = MEMBERS_INTERVAL
    probe_interval: float = PROBE_INTERVAL
    probe_timeout: float = PROBE_TIMEOUT
    position_check_interval: float = POSITION_CHECK_INTERVAL
    queue_check_interval: float = QUEUE_CHECK_INTERVAL
    presence_delay: float = PRESENCE_DELAY
    presence_linger: float = PRESENCE_LINGER
    presence_news_interval: float = PRESENCE_NEWS_INTERVAL
    batch_size: int = BATCH_SIZE
    batch_bytes: int = BATCH_BYTES
    max_pending: int = MAX_PENDING
    publish_timeout: float = PUBLISH_TIMEOUT
    wait_replicas: int = WAIT_REPLICAS
    idempotency_ttl: float = IDEMPOTENCY_TTL
    max_message_size: int = MAX_MESSAGE_SIZE
    max_backlog: int = MAX_BACKLOG
    slice_size: int = SLICE_SIZE
    write_bytes: int = WRITE_BYTES
    capacity: int = CAPACITY
    channel_capacity: Mapping[str | Pattern[str], int] = field(default_factory=dict)
    expiry: float = EXPIRY
    group_expiry: float = GROUP_EXPIRY
    serializer_format: str = SERIALIZER_FORMAT
    symmetric_encryption_keys: Sequence[str | bytes] = ()
    on_disconnect: str = ""
    on_reconnect: str = ""

    @classmethod
    def from_config(cls, **config: Any) -> LayerOptions:
        """Return the options that a `CONFIG` dictionary asks for.

        None stands for the default, as in channels_redis. `hosts` is read by `hosts.parse_hosts`;
        `history` maps globs to `{"size": …, "ttl": …, "latest": …}` or to None for no history, and
        `calm` to `{"max_rate": …, "conflate": …}` or None. Of the two the source counts that
        `set_room_source` was given, if any, where CONFIG does not have them.

        Raises:
            ConfigurationError: Naming the key that is wrong and what it takes.
        """
        for name, reason in WITHOUT_MEANING.items():
            if config.pop(name, None) is not None:
                warnings.warn(f"{name} has no effect: {reason}.", RuntimeWarning, stacklevel=3)
        config = {name: value for name, value in config.items() if value is not None}
        known = [option.name for option in fields(cls)]
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ConfigurationError(
                f"CONFIG has no key {', '.join(map(repr, unknown))}. "
                f"The keys are: {', '.join(known)}."
            )
        if "hosts" in config:
            config["hosts"] = parse_hosts(config["hosts"])
        if not {"history", "calm"} <= config.keys():
            config = {**options_of_source(), **config}
        if "history" in config:
            config["history"] = read_history(config["history"])
        if "calm" in config:
            config["calm"] = read_calm(config["calm"])
        if "channel_capacity" in config:
            config["channel_capacity"] = _capacities(config["channel_capacity"])
        options = cls(**config)
        options._validate()
        return options

    def changed(self, **values: Any) -> LayerOptions:
        """Return these options with others in their place.

        Raises:
            ConfigurationError: Naming the key that is wrong and what it takes.
        """
        options = replace(self, **values)
        options._validate()
        return options

    def _validate(self) -> None:
        if not _is_number(self.shards, int) or not 1 <= self.shards <= MAX_SHARDS:
            raise ConfigurationError(
                f"shards is {self.shards!r}; it takes a whole number from 1 to {MAX_SHARDS}."
            )
        if len(self.hosts) > self.shards and not self.cluster:
            raise ConfigurationError(
                f"hosts lists {len(self.hosts)} servers for {self.shards} shards: "
                f"a server without a shard would do nothing."
            )
        if self.cluster and any(not host.is_redis or host.master_name for host in self.hosts):
            raise ConfigurationError(
                "cluster is set, but hosts lists what can't be a node of a Redis Cluster."
            )
        if self.cluster and any(host.is_unix for host in self.hosts):
            raise ConfigurationError(
                "cluster is set, but hosts lists a Unix socket: a Cluster's nodes name each other "
                "by host and port."
            )
        for host in self.hosts:
            if host.is_redis:
                require_valid(host)
        if not isinstance(self.prefix, str) or not self.prefix or set(self.prefix) & set("{}"):
            raise ConfigurationError(
                f"prefix is {self.prefix!r}; it takes a string that is not empty and has no braces."
            )
        if not _is_number(self.wait_replicas, int) or self.wait_replicas < 0:
            raise ConfigurationError(
                f"wait_replicas is {self.wait_replicas!r}; it takes a whole number, 0 or more."
            )
        if not _is_number(self.presence_linger, float) or self.presence_linger < 0:
            raise ConfigurationError(
                f"presence_linger is {self.presence_linger!r}; it takes a number of seconds, or 0."
            )
        for name, kind in _POSITIVE.items():
            value = getattr(self, name)
            if not _is_number(value, kind) or value <= 0:
                wanted = "whole number" if kind is int else "number"
                raise ConfigurationError(f"{name} is {value!r}; it takes a {wanted} above 0.")
        for name, most in _AT_MOST.items():
            if getattr(self, name) > most:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)!r}; it takes {most:g} at most."
                )
        each, least = self.meta_ttl_per_publication, EPOCH_CHECKS * self.position_check_interval
        if not _is_number(each, float) or (each != 0 and each < least):
            raise ConfigurationError(
                f"meta_ttl_per_publication is {each!r}; it takes 0, or at least {least:g} seconds, "
                f"which is {EPOCH_CHECKS} times position_check_interval."
            )
        longest = max((policy.ttl for policy in self.history.values()), default=0.0)
        if self.meta_ttl < longest:
            raise ConfigurationError(
                f"meta_ttl is {self.meta_ttl:g} s, less than a history's ttl of {longest:g} s: "
                f"a room would forget its offset before its history."
            )

    def capacity_of(self, channel: str) -> int:
        """Return how many messages a channel holds; the first pattern that matches counts."""
        for pattern, capacity in self.channel_capacity.items():
            if isinstance(pattern, str):
                if fnmatchcase(channel, pattern):
                    return capacity
            elif pattern.match(channel):
                return capacity
        return self.capacity

    def epoch_ttl(self, room: str) -> float:
        """Return how long a room keeps its epoch while nothing was published to it, in seconds.

        Long enough for a client that comes back within the window, and for the position checks of
        nodes with members, which prolong it.
        """
        return self._epoch_ttl(self.policy_of(room))

    def _epoch_ttl(self, policy: HistoryPolicy) -> float:
        return max(policy.ttl, EPOCH_CHECKS * self.position_check_interval)

    def room_ttl(self, offset: int, policy: HistoryPolicy) -> float:
        """Return how long a quiet room whose last offset this is keeps it, in seconds."""
        if not offset:
            return self._epoch_ttl(policy)
        if not self.meta_ttl_per_publication or policy.latest:
            return self.meta_ttl
        earned = offset * self.meta_ttl_per_publication
        return min(self.meta_ttl, max(policy.ttl, earned))

    def policy_of(self, room: str) -> HistoryPolicy:
        """Return how much a room remembers."""
        if (reserved := reserved_policy(room)) is not None:
            return HistoryPolicy(size=reserved.size, ttl=min(reserved.ttl, self.meta_ttl))
        for pattern, policy in self.history.items():
            if fnmatchcase(room, pattern):
                return policy
        return NO_HISTORY

    def calm_of(self, room: str) -> CalmPolicy | None:
        """Return how often a room's members are written to; None if at once."""
        for pattern, policy in self.calm.items():
            if fnmatchcase(room, pattern):
                return policy if policy.max_rate else None
        return None


_POSITIVE: dict[str, type] = {
    "meta_ttl": float,
    "lease_ttl": float,
    "linger": float,
    "members_interval": float,
    "probe_interval": float,
    "probe_timeout": float,
    "position_check_interval": float,
    "queue_check_interval": float,
    "presence_delay": float,
    "presence_news_interval": float,
    "bundles": int,
    "batch_size": int,
    "batch_bytes": int,
    "max_pending": int,
    "publish_timeout": float,
    "idempotency_ttl": float,
    "max_message_size": int,
    "max_backlog": int,
    "slice_size": int,
    "write_bytes": int,
    "capacity": int,
    "expiry": float,
    "group_expiry": float,
}

_AT_MOST = {"batch_size": MAX_BATCH_SIZE, "publish_timeout": MAX_PUBLISH_TIMEOUT}


def _is_number(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int if kind is int else (int, float))


def _capacities(value: object) -> dict[str | Pattern[str], int]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"channel_capacity is {value!r}; it takes a dictionary of globs or compiled patterns "
            f"and capacities, such as {{'http.request': 200}}."
        )
    for pattern, capacity in value.items():
        text = pattern.pattern if isinstance(pattern, Pattern) else pattern
        if not isinstance(text, str) or not _is_number(capacity, int) or capacity <= 0:
            raise ConfigurationError(
                f"channel_capacity[{pattern!r}] is {capacity!r}; each key must be a glob or a "
                f"compiled pattern of str, and each value a whole number above 0."
            )
    return dict(value)
