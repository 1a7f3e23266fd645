"""What `REALTIME["ROOMS"]` says: of each kind of room, what it remembers and who may do what.

Without I/O and without Django: values, and what is wrong with them. `realtime.access` decides by
them; the channel layer is handed the histories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from shardlayer import ConfigurationError, LayerOptions

Action = Literal["subscribe", "publish", "presence"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

NAMED_RULES: Final = ("anyone", "signed_in", "staff", "nobody")
PERMISSION: Final = "permission:"  # begins the rule that asks for one of Django's permissions

AUTHORIZE: Final = "AUTHORIZE"  # stands for the old setting's function; no text of ROOMS

_EVER: Final = 1e12  # seconds; the layer that gets a history compares it with its own `meta_ttl`
ROOM_KEYS: Final = (
    "history", "latest", "max_rate", "conflate", *ACTIONS, "presence_events", "on_publish",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The rules of the rooms that a glob matches.

    Attributes:
        glob: Which rooms; `*` also matches periods.
        subscribe: Who subscribes and reads the history: a named rule or a dotted path.
        publish: Which clients publish. Programs always may.
        presence: Who sees who is there.
        presence_events: Whether all members of a room are told who comes to it and goes.
        history: `size` in publications and `ttl` in seconds, None for no history; an empty mapping
            stands for the layer's own defaults.
        says_history: Whether `history` stands in the settings.
        latest: Whether each new subscriber is told the newest publication.
        max_rate: How often a second clients are written to, at most; 0: for each publication.
        on_publish: The path of a function that may change or refuse what clients publish; None:
            that of ON_CLIENT_PUBLISH.
        conflate: A member of the data: of publications with the same value there, clients get the
            newest of each write; None: they get all.
    """

    glob: str
    subscribe: str = "signed_in"
    publish: str = "nobody"
    presence: str = "nobody"
    presence_events: bool = False
    history: Mapping[str, Any] | None = None
    says_history: bool = False
    latest: bool = False
    max_rate: float = 0
    conflate: str | None = None
    on_publish: str | None = None

    @property
    def keeps_presence(self) -> bool:
        """Whether it is known who is in such a room."""
        return self.presence != "nobody" or self.presence_events

    def rule(self, action: Action) -> str:
        """Return the rule for an action, as it stands in the settings."""
        text: str = getattr(self, action)
        return text


ALL_ROOMS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"*": MappingProxyType({})})
"""The default: who is signed in subscribes to any room, nobody publishes."""


def read_rooms(value: Mapping[str, Mapping[str, Any]]) -> tuple[RoomSettings, ...]:
    """Return what ROOMS says, in its order; `room_problems` must have found nothing."""
    return tuple(
        RoomSettings(glob=glob, says_history="history" in rules, **rules)
        for glob, rules in value.items()
    )


def histories(rooms: Sequence[RoomSettings]) -> dict[str, Mapping[str, Any] | None] | None:
    """Return the layer's option `history` that these rules ask for; None if they name no history.

    The first glob that matches a room decides here as well, so a rule without a history comes in
    as the layer's default. So do rooms that no glob matches.
    """
    if not any(room.says_history or room.latest for room in rooms):
        return None
    said = {room.glob: _history(room) for room in rooms}
    return said if "*" in said else said | {"*": {}}


def _history(room: RoomSettings) -> Mapping[str, Any] | None:
    history = room.history if room.says_history else {}
    return {**(history or {}), "latest": True} if room.latest else history


def calm_rooms(rooms: Sequence[RoomSettings]) -> dict[str, Mapping[str, Any] | None] | None:
    """Return the layer's option `calm` that these rules ask for; None if no room is calm.

    The first glob that matches a room decides here as well, so the others come in as None.
    """
    if not any(room.max_rate for room in rooms):
        return None
    return {
        room.glob: {"max_rate": room.max_rate, "conflate": room.conflate} if room.max_rate else None
        for room in rooms
    }


def room_problems(value: object) -> Iterator[str]:
    """Yield what is wrong with ROOMS: a sentence each, that follows `REALTIME['ROOMS']`."""
    if not isinstance(value, Mapping):
        yield f" must be a dictionary of globs, not {value!r}."
        return
    seen: list[str] = []
    for glob, rules in value.items():
        if not isinstance(glob, str) or not glob:
            yield f" has the key {glob!r}; a glob of rooms is a string, such as 'chat.*'."
            continue
        hider = next((other for other in seen if hides(other, glob)), None)
        if hider is not None:
            yield f"[{glob!r}] never counts: {hider!r} comes before it, and the first match counts."
        seen.append(glob)
        if isinstance(rules, Mapping):
            for key, problem in _rule_problems(rules):
                yield f"[{glob!r}]{key}{problem}"
        else:
            yield f"[{glob!r}] must be a dictionary of rules, not {rules!r}."


def hides(earlier: str, later: str) -> bool:
    """Return whether every room that `later` matches is one of `earlier`, as far as is plain.

    It is for globs whose only pattern is `*`: then whatever `later` stands for is matched where its
    own characters are.
    """
    return not set(earlier) & set("?[") and fnmatchcase(later, earlier)


def _rule_problems(rules: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    for key, value in rules.items():
        if key == "history":
            try:
                LayerOptions.from_config(history={"*": value}, calm={}, meta_ttl=_EVER)
            except ConfigurationError as error:
                yield "", f" is wrong: {_of_one_rule(error)}"
        elif key in ("presence_events", "latest"):
            if not isinstance(value, bool):
                yield "", f"[{key!r}] must be True or False, not {value!r}."
        elif key == "on_publish":
            if value is not None and not _is_path(value):
                yield f"[{key!r}]", f" must be the dotted path of a function, not {value!r}."
        elif key in ("max_rate", "conflate"):
            pass  # together, below
        elif key in ACTIONS:
            problem = rule_problem(value)
            if problem:
                yield f"[{key!r}]", problem
        else:
            yield "", f" has the key {key!r}; the keys are {', '.join(ROOM_KEYS)}."
    if rules.get("latest") is True and "history" in rules and not _keeps(rules["history"]):
        yield "['latest']", " needs a history: leave 'history' out, or give it a 'size' above 0."
    calm = {key: rules[key] for key in ("max_rate", "conflate") if key in rules}
    if calm:
        try:
            LayerOptions.from_config(history={}, calm={"*": {"max_rate": 0, **calm}})
        except ConfigurationError as error:
            yield "", f" is wrong: {_of_one_rule(error)}"


def _keeps(history: object) -> bool:
    return isinstance(history, Mapping) and history.get("size") != 0


def _of_one_rule(error: ConfigurationError) -> str:
    return str(error).replace("history['*']", "history").replace("calm['*']", "")


def rule_problem(rule: object) -> str:
    """Return what is wrong with a rule, or nothing; it is not looked whether a path leads there."""
    if rule in NAMED_RULES:
        return ""
    if isinstance(rule, str):
        if rule.startswith(PERMISSION):
            app, _, code = rule.removeprefix(PERMISSION).partition(".")
            if app.isidentifier() and code:
                return ""
            return f" must name a permission as '{PERMISSION}app.code', not {rule!r}."
        if _is_path(rule):
            return ""
        close = get_close_matches(rule, NAMED_RULES, n=1)
        if close:
            return f" is {rule!r}; did you mean {close[0]!r}?"
    return (
        f" must be {', '.join(map(repr, NAMED_RULES))}, '{PERMISSION}app.code' or the dotted path "
        f"of a function, not {rule!r}."
    )


def _is_path(value: object) -> bool:
    """Return whether a value has the form of a dotted path."""
    parts = value.split(".") if isinstance(value, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)
