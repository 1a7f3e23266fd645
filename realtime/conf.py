"""The settings of realtime: the keys of `REALTIME` in Django's settings, in lower case.

Read lazily, so importing this module needs no settings; wrong values are found by the system
checks, which read `problems()`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from realtime.access.site_origins import site_origin
from realtime.kafka.addresses import is_address
from realtime.rooms.old_settings import (
    AUTHORIZE_IS_OLD,
    old_setting_problems,
    rooms_of_authorize,
)
from realtime.rooms.room_names import MAX_ROOM_NAME, is_room_name
from realtime.rooms.room_settings import (
    ALL_ROOMS,
    RoomSettings,
    read_rooms,
    room_problems,
)

# What is left of a room's name beside "sha256." and 64 digits, see access/users.py; in characters.
MAX_USER_ROOM_PREFIX = MAX_ROOM_NAME - 71

MIN_REMOVAL_LIFETIME = 86_400.0  # seconds for which removals from rooms are remembered, at least

JWT_ALGORITHMS = ("HS256", "RS256", "ES256")

SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")  # that take name and password


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting's value has to be: in words, and as a test; a secret one is never shown.

    `problems`, where there are any, say more than `words`: each follows the setting's name.
    """

    words: str
    holds: Callable[[Any], bool]
    secret: bool = False
    problems: Callable[[Any], Iterator[str]] | None = None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "." in value.strip(".")


def _is_strings(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_safe_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    here = address.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(address.hostname) and address.scheme in ("https", "http" if here else "https")


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_LIMIT = Rule("a whole number, or 0 for no limit", _is_count_limit)
_LIMIT_COUNT = Rule("a whole number, or 0 for none", _is_count_limit)
_TIME_LIMIT = Rule("a number of seconds, or 0 for no limit", _is_limit)
_INFO_LIMIT = Rule(
    "a whole number from 0 to 4,096; 0 for no info",
    lambda value: _is_count_limit(value) and value <= 4_096,
)
_RATE = Rule("a number a second, or 0 for no limit", _is_limit)
_COUNT = Rule("a whole number above 0", _is_count)
_SECONDS = Rule("a number of seconds above 0", _is_number)
_DURATION = Rule("a number of seconds, or 0 for none", _is_limit)
_NODE_INTERVAL = Rule(
    "a number of seconds from 1 to 10, or 0 for none",
    lambda value: _is_limit(value) and (value == 0 or 1 <= value <= 10),
)
_MOMENT = Rule("a number of seconds from 0 to 1", lambda value: _is_limit(value) and value <= 1)
_SHARE = Rule("a number from 0 to 1", _is_share)
_TEXT = Rule("a string that is not empty", lambda value: isinstance(value, str) and bool(value))
_TEXT_OR_NONE = Rule(
    "a string that is not empty, or None", lambda value: value is None or _TEXT.holds(value)
)
_TEXTS = Rule("a list of strings", _is_strings)
_SOME_TEXTS = Rule(
    "a list of strings that is not empty", lambda value: _is_strings(value) and bool(value)
)
_ADDRESSES = Rule(
    "a list of addresses, host:port or [IPv6]:port, that is not empty",
    lambda value: _SOME_TEXTS.holds(value) and all(map(is_address, value)),
)
_ORIGINS = Rule(
    "a list of origins, such as https://shop.example, https://*.shop.example or capacitor://localhost",
    lambda value: _is_strings(value) and all(map(site_origin, value)),
)
_PATH = Rule("a dotted path", _is_path)
_PATH_OR_NONE = Rule("a dotted path or None", lambda value: value is None or _is_path(value))
_ROOMS = Rule(
    "a dictionary of globs", lambda value: not any(room_problems(value)), problems=room_problems
)
_OPTIONS = Rule("a dictionary", lambda value: isinstance(value, Mapping), secret=True)
_SWITCH = Rule("True or False", lambda value: isinstance(value, bool))
_PASSWORD = Rule("a string", lambda value: isinstance(value, str), secret=True)
_SASL = Rule(
    f"None or one of {', '.join(SASL_MECHANISMS)}",
    lambda value: value is None or value in SASL_MECHANISMS,
)
_JWT_ALGORITHM = Rule(
    f"None or one of {', '.join(JWT_ALGORITHMS)}",
    lambda value: value is None or value in JWT_ALGORITHMS,
)
_SECRETS = Rule("a list of strings", _is_strings, secret=True)
_URL_OR_NONE = Rule(
    "None or an address that begins with https://, or with http:// for this machine",
    lambda value: value is None or _is_safe_url(value),
)
_PREFIX = Rule(
    f"1 to {MAX_USER_ROOM_PREFIX} letters, digits, hyphens, underscores and periods",
    lambda value: is_room_name(value) and len(value) <= MAX_USER_ROOM_PREFIX,
)
_ISOLATION = Rule(
    '"read_committed" or "read_uncommitted"',
    lambda value: value in ("read_committed", "read_uncommitted"),
)
_RESET = Rule('"earliest" or "latest"', lambda value: value in ("earliest", "latest"))


def _setting(default: Any, rule: Rule) -> Any:
    return field(default=default, repr=not rule.secret, metadata={"rule": rule})


def _empty_mapping(rule: Rule) -> Any:
    return field(default_factory=dict, repr=not rule.secret, metadata={"rule": rule})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """The settings with their defaults; docs/settings.md explains each."""

    # Clients
    rooms: Mapping[str, Mapping[str, Any]] = field(  # by glob; the first that matches counts
        default_factory=lambda: ALL_ROOMS, metadata={"rule": _ROOMS}
    )
    origins: tuple[str, ...] = _setting((), _ORIGINS)  # of other sites whose pages may connect
    client_publish: tuple[str, ...] = _setting((), _TEXTS)  # globs; deprecated
    authorize: str | None = _setting(None, _PATH_OR_NONE)  # deprecated
    on_client_publish: str | None = _setting(None, _PATH_OR_NONE)  # changes or refuses it
    rule_max_age: float = _setting(10.0, _DURATION)  # seconds that an answer of a rule counts for
    max_client_rules: int = _setting(200, _LIMIT_COUNT)  # answers remembered of one connection
    max_rooms_per_client: int = _setting(100, _LIMIT)  # rooms
    max_rooms_per_frame: int = _setting(200, _LIMIT)  # rooms that one message names
    max_room_members: int = _setting(100_000, _LIMIT)  # clients of one room in a process
    max_node_rooms: int = _setting(100_000, _LIMIT)  # rooms in a process
    max_client_message: int = _setting(64 * 1024, _COUNT)  # bytes
    max_client_buffer: int = _setting(1024 * 1024, _LIMIT)  # bytes, on servers without a sink
    max_client_text: int = _setting(1024 * 1024, _LIMIT)  # bytes, on servers without a sink
    max_client_history: int = _setting(300, _COUNT)  # publications in one answer to `history`
    max_client_answer: int = _setting(256 * 1024, _LIMIT)  # bytes of publications in one answer
    max_client_commands: float = _setting(100, _RATE)  # a second and connection
    max_client_publishes: float = _setting(50, _RATE)  # a second and connection
    max_client_new_rooms: float = _setting(20, _RATE)  # rooms, a second and connection
    max_user_publishes: float = _setting(100, _RATE)  # a second and user, in a process
    max_user_new_rooms: float = _setting(40, _RATE)  # rooms, a second and user, in a process
    max_user_rooms: int = _setting(10_000, _LIMIT)  # rooms here for one user, in a process
    max_user_connections: int = _setting(100, _LIMIT)  # connections of one user in a process
    subscribe_timeout: float = _setting(60.0, _TIME_LIMIT)  # seconds
    max_event_streams: int = _setting(2_000, _LIMIT)  # streams in a process
    max_address_streams: int = _setting(500, _LIMIT)  # streams of one address in a process
    event_stream_comment: float = _setting(15.0, _DURATION)  # seconds between two comments
    ws_max_connections: int = _setting(12_000, _LIMIT)  # of a machine's workers, by its balancer
    ws_reserved_connections: int = _setting(100, _LIMIT_COUNT)  # beyond that, for pages
    join_concurrency: int = _setting(64, _LIMIT)  # joins of all clients under way in a process
    presence_info: str | None = _setting(None, _PATH_OR_NONE)  # (user, room, claims) -> JSON value
    max_presence_info: int = _setting(512, _INFO_LIMIT)  # bytes that a connection carries
    presence_fetch: str | None = _setting(None, _PATH_OR_NONE)  # (keys of users) -> {key: fields}
    max_client_presence: int = _setting(100, _COUNT)  # people in one answer to `presence`
    user_room_presence: bool = _setting(False, _SWITCH)  # in users' own rooms: which devices
    user_room_prefix: str = _setting("user.", _PREFIX)  # begins the names of users' own rooms
    room_token_max_age: int = _setting(86_400, _COUNT)  # seconds, of a token that says nothing else

    # Signing in and out
    token_max_age: int = _setting(3600, _COUNT)  # seconds
    resume_ttl: float = _setting(300, _DURATION)  # seconds; 0: no notes
    expiry_grace: float = _setting(30, _SECONDS)  # seconds to sign in anew
    session_recheck: float = _setting(900, _DURATION)  # seconds; 0: never
    jwt_algorithm: str | None = _setting(None, _JWT_ALGORITHM)  # None: no JWTs
    jwt_keys: tuple[str, ...] = _setting((), _SECRETS)  # HS256: secrets; else: public keys in PEM
    jwt_jwks_url: str | None = _setting(None, _URL_OR_NONE)
    jwt_issuer: str | None = _setting(None, _TEXT_OR_NONE)
    jwt_audience: str | None = _setting(None, _TEXT_OR_NONE)
    jwt_leeway: float = _setting(30, _DURATION)  # seconds that clocks may differ
    jwt_user_claim: str = _setting("sub", _TEXT)
    jwt_user_field: str | None = _setting(None, _TEXT_OR_NONE)  # None: the primary key
    jwt_name_claim: str = _setting("preferred_username", _TEXT)
    jwt_rooms_claim: str = _setting("rooms", _TEXT)

    # Publishing with a transaction
    max_on_commit_waiting: int = _setting(10_000, _LIMIT)  # publications under way in a process
    position_timeout: float = _setting(1.0, _TIME_LIMIT)  # seconds that a page waits for it
    outbox_poll: float = _setting(0.1, _SECONDS)  # seconds, where the database tells no commits
    outbox_lease: float = _setting(10.0, _SECONDS)  # seconds until another relay takes over

    # The HTTP API
    api_max_body: int = _setting(2 * 1024 * 1024, _LIMIT)  # bytes of a request
    api_max_items: int = _setting(1_000, _LIMIT)  # publications of a batch

    # Looking at Redis: health, admin, checks
    check_timeout: float = _setting(1.0, _SECONDS)  # seconds
    ready_dead_share: float = _setting(0.5, _SHARE)  # of the servers, that may be dead
    node_interval: float = _setting(5.0, _NODE_INTERVAL)  # seconds between reports; 0: none
    health_key: str = _setting("", _PASSWORD)  # opens the details of the health checks to others
    metrics_directory: str | None = _setting(None, _TEXT_OR_NONE)  # of all processes on a machine
    tracing: bool = _setting(True, _SWITCH)  # with OpenTelemetry, where its SDK is installed
    admin_page_size: int = _setting(100, _COUNT)  # rooms of a page
    admin_max_rooms: int = _setting(200_000, _LIMIT)  # rooms that a process keeps for its pages
    admin_refresh: float = _setting(2.0, _DURATION)  # seconds; 0: pages do not refresh themselves
    admin_max_live: int = _setting(20, _LIMIT)  # open pages that refresh themselves, in a process

    # Kafka
    kafka_bootstrap_servers: tuple[str, ...] = _setting(("127.0.0.1:9092",), _ADDRESSES)
    kafka_topics: tuple[str, ...] = _setting(("events",), _SOME_TEXTS)
    kafka_group: str = _setting("shardlayer", _TEXT)
    kafka_route: str = _setting("realtime.kafka.routing.route", _PATH)
    kafka_auto_offset_reset: str = _setting("earliest", _RESET)  # for a group's first start
    kafka_isolation: str = _setting("read_committed", _ISOLATION)  # of aborted transactions
    kafka_route_timeout: float = _setting(5.0, _SECONDS)  # seconds for one record
    kafka_gather: float = _setting(0.005, _MOMENT)  # seconds that a stream's records gather for
    kafka_max_rooms: int = _setting(1_000, _COUNT)  # rooms of one record
    kafka_max_unpacked: int = _setting(64 * 1024 * 1024, _COUNT)  # bytes of one batch
    kafka_max_dead_letter: int = _setting(64 * 1024 * 1024, _COUNT)  # bytes
    kafka_dead_letter_suffix: str | None = _setting(".dlq", _TEXT_OR_NONE)  # None: no letters
    kafka_tls: bool = _setting(False, _SWITCH)
    kafka_ca_file: str | None = _setting(None, _TEXT_OR_NONE)  # PEM; None: the system's
    kafka_client_certificate: str | None = _setting(None, _TEXT_OR_NONE)  # PEM, with its key
    kafka_sasl_mechanism: str | None = _setting(None, _SASL)
    kafka_username: str = _setting("", _PASSWORD)
    kafka_password: str = _setting("", _PASSWORD)
    kafka_options: Mapping[str, Any] = _empty_mapping(_OPTIONS)  # for all of aiokafka's clients
    kafka_consumer_options: Mapping[str, Any] = _empty_mapping(_OPTIONS)  # for its consumers

    @property
    def note_lifetime(self) -> float:
        """Seconds that a resume note counts: one that is renewed in time has RESUME_TTL left."""
        return self.resume_ttl * 1.5

    @property
    def revocation_lifetime(self) -> float:
        """Seconds for which it is remembered who was signed out: as long as anything it ends."""
        return max(self.token_max_age, self.note_lifetime)

    @property
    def removal_lifetime(self) -> float:
        """Seconds for which it is remembered who was put out of a room.

        That is as long as what opens rooms, but for what says so itself: a token of `sign_room`
        with `expires`, or a JWT. At least MIN_REMOVAL_LIFETIME, since JWTs live for hours.
        """
        return max(MIN_REMOVAL_LIFETIME, self.room_token_max_age, self.revocation_lifetime)


_RULES: dict[str, Rule] = {item.name.upper(): item.metadata["rule"] for item in fields(Conf)}


def problems(values: object) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with `REALTIME`, as the key (or "") and a sentence about it."""
    if not isinstance(values, Mapping):
        yield "", f"REALTIME must be a dictionary, not {type(values).__name__}."
        return
    for key, value in values.items():
        rule = _RULES.get(key)
        if rule is None:
            yield str(key), f"REALTIME[{key!r}] is not a setting."
        elif rule.problems is not None:
            for problem in rule.problems(value):
                yield key, f"REALTIME[{key!r}]{problem}"
        elif not rule.holds(value):
            shown = f"a {type(value).__name__}" if rule.secret else repr(value)
            yield key, f"REALTIME[{key!r}] must be {rule.words}, not {shown}."
    yield from old_setting_problems(values)


def known_keys() -> list[str]:
    """Return the keys that `REALTIME` may have."""
    return list(_RULES)


@cache
def conf() -> Conf:
    """Return the settings in force.

    Raises:
        ImproperlyConfigured: `REALTIME` has a key or a value that it may not have.
    """
    values = getattr(settings, "REALTIME", {})
    for _, sentence in problems(values):
        raise ImproperlyConfigured(sentence)
    checked: dict[str, Any] = {
        key.lower(): tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
    }
    if checked.get("authorize"):
        warnings.warn(AUTHORIZE_IS_OLD, DeprecationWarning, stacklevel=2)
    return Conf(**checked)


def room_settings() -> tuple[RoomSettings, ...]:
    """Return what ROOMS says, or what the old settings say that it replaces."""
    settings = conf()
    if settings.authorize:  # then there is no ROOMS
        return rooms_of_authorize(settings.client_publish)
    return read_rooms(settings.rooms)


@receiver(setting_changed)
def _forget(*, setting: str, **_: object) -> None:
    """Read the settings again after a test changed them."""
    if setting == "REALTIME":
        conf.cache_clear()
