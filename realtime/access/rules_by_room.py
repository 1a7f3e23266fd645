"""Which rules count for a room: those of the first glob of `REALTIME["ROOMS"]` that matches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from realtime.access.permission_rules import NOBODY, AccessRule, rule_of, rule_of_authorize
from realtime.access.publish_hooks import PublishHook, publish_hook
from realtime.conf import Conf, conf, room_settings
from realtime.rooms.room_settings import ACTIONS, AUTHORIZE, Action, RoomSettings

_REMEMBERED = 8_192  # rooms; strangers choose their names, so it is bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRules:
    """The rules of the rooms that a glob matches, ready to be asked.

    Attributes:
        settings: What stands in ROOMS; None of rooms that no glob matches, which are nobody's.
        subscribe: Who subscribes and reads the history.
        publish: Which clients publish.
        presence: Who sees who is there.
        on_publish: What may change or refuse a client's publication; None: nothing.
    """

    settings: RoomSettings | None = None
    subscribe: AccessRule = NOBODY
    publish: AccessRule = NOBODY
    presence: AccessRule = NOBODY
    on_publish: PublishHook | None = None

    def rule(self, action: Action) -> AccessRule:
        """Return the rule for an action."""
        if action == "subscribe":
            return self.subscribe
        return self.publish if action == "publish" else self.presence


NOBODYS_ROOMS: Final = RoomRules()


class RoomRulesTable:
    """All of ROOMS.

    Raises:
        ImportError: A rule's path leads nowhere.
        TypeError: What is there is no rule.
    """

    def __init__(
        self,
        rooms: Sequence[RoomSettings],
        authorize: str | None = None,
        on_publish: str | None = None,
    ) -> None:
        self._globs = [(room.glob, _ready(room, authorize, on_publish)) for room in rooms]
        self.of = lru_cache(_REMEMBERED)(self._find)

    def _find(self, room: str) -> RoomRules:
        for glob, rules in self._globs:
            if fnmatchcase(room, glob):
                return rules
        return NOBODYS_ROOMS


def _ready(room: RoomSettings, authorize: str | None, on_publish: str | None) -> RoomRules:
    return RoomRules(
        settings=room,
        on_publish=_hook(room, on_publish),
        **{action: _named_rule(room, action, authorize) for action in ACTIONS},
    )


def _hook(room: RoomSettings, of_all: str | None) -> PublishHook | None:
    path = room.on_publish or of_all
    if path is None:
        return None
    own = f"['ROOMS'][{room.glob!r}]['on_publish']"
    where = own if room.on_publish else "['ON_CLIENT_PUBLISH']"
    try:
        return publish_hook(path)
    except (ImportError, TypeError) as error:
        raise type(error)(f"REALTIME{where} is no function: {error}") from error


def _named_rule(room: RoomSettings, action: Action, authorize: str | None) -> AccessRule:
    """Return a rule; what is wrong with it names the setting, since a worker's log shows that."""
    text = room.rule(action)
    try:
        return _rule(text, action, authorize)
    except (ImportError, TypeError) as error:
        where = f"['ROOMS'][{room.glob!r}][{action!r}]" if text != AUTHORIZE else "['AUTHORIZE']"
        kind = ImportError if isinstance(error, ImportError) else TypeError
        raise kind(f"REALTIME{where} is no rule: {error}") from error


def _rule(text: str, action: Action, authorize: str | None) -> AccessRule:
    if text == AUTHORIZE and authorize is not None:
        return rule_of_authorize(authorize, action)
    return rule_of(text)


_made: tuple[Conf, RoomRulesTable] | None = None


def room_rules() -> RoomRulesTable:
    """Return the rules that the settings ask for now; raises what `RoomRulesTable` raises."""
    global _made
    settings = conf()
    if _made is None or _made[0] is not settings:
        _made = (
            settings,
            RoomRulesTable(room_settings(), settings.authorize, settings.on_client_publish),
        )
    return _made[1]
