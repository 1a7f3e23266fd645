"""System checks of who may: each rule of `REALTIME["ROOMS"]` is there, and is meant.

| id | what |
|---|---|
| realtime.E003 | a rule's dotted path can't be imported |
| realtime.E005 | what a rule's path, or `on_publish`, names is no function of the right arguments |
| realtime.E006 | a rule names a permission of an app that is not installed |
| realtime.E007 | CHANNEL_LAYERS and ROOMS contradict each other about histories or calm rooms |
| realtime.E008 | a rule for users' own rooms, whose rule is fixed |
| realtime.W001 | AUTHORIZE and CLIENT_PUBLISH, which ROOMS replaces |
| realtime.W002 | with --deploy: anyone may subscribe to some rooms, or see who is there |
| realtime.W003 | with --deploy: anyone may publish to some rooms |
| realtime.W005 | members of a room are told who is there, though some of them may not ask |
| realtime.W007 | tokens may live for longer than the layer remembers who was put out of rooms |

What has the wrong form is found before (`realtime.checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from realtime.access.permission_rules import ANYONE, NOBODY, rule_of
from realtime.access.publish_hooks import publish_hook
from realtime.conf import conf, problems, room_settings
from realtime.rooms.old_settings import AUTHORIZE_IS_OLD
from realtime.rooms.room_settings import (
    ACTIONS,
    AUTHORIZE,
    PERMISSION,
    calm_rooms,
    histories,
)
from shardlayer import ConfigurationError, LayerOptions

_HOOK = "def clean(user, room, data, claims), which returns the data"
_OPENNESS = ("nobody", "staff", "signed_in", "anyone")  # each lets in whom the one before does


def _is_readable() -> bool:
    """Return whether REALTIME has the right form, so that it can be looked at what it says."""
    return not any(problems(getattr(settings, "REALTIME", {})))


@register
def check_rooms(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check that each rule can be asked, and that nothing else says something else."""
    if not _is_readable():
        return []
    return [
        *_check_rules(),
        *_check_layers(),
        *_check_private_rooms(),
        *_check_events(),
        *_check_age(),
        *_check_room_tokens(),
    ]


@register(Tags.security, deploy=True)
def check_open_rooms(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of what everybody may, signed in or not."""
    if not _is_readable():
        return []
    open_to_all = [
        (room.glob, action)
        for room in room_settings()
        for action in ACTIONS
        if room.rule(action) == ANYONE.text
    ]
    reading = [repr(glob) for glob, action in open_to_all if action != "publish"]
    writing = [repr(glob) for glob, action in open_to_all if action == "publish"]
    found: list[CheckMessage] = []
    if reading:
        found.append(
            Warning(
                f"Anyone may subscribe to rooms, or see who is there, without signing in: "
                f"{', '.join(dict.fromkeys(reading))} in REALTIME['ROOMS'].",
                hint="If you want that, silence it: SILENCED_SYSTEM_CHECKS = ['realtime.W002'].",
                id="realtime.W002",
            )
        )
    if writing:
        found.append(
            Warning(
                f"Anyone may publish to rooms without signing in: "
                f"{', '.join(writing)} in REALTIME['ROOMS'].",
                hint="Let 'signed_in' publish, or a function of yours; or silence realtime.W003.",
                id="realtime.W003",
            )
        )
    return found


def _check_rules() -> Iterator[Error]:
    for room in room_settings():
        for action in ACTIONS:
            text = room.rule(action)
            if text != AUTHORIZE:
                yield from _check_rule(f"REALTIME['ROOMS'][{room.glob!r}][{action!r}]", text)
        if room.on_publish is not None:
            where = f"REALTIME['ROOMS'][{room.glob!r}]['on_publish']"
            yield from _check_function(where, room.on_publish, publish_hook, _HOOK)
    if (path := conf().on_client_publish) is not None:
        where = "REALTIME['ON_CLIENT_PUBLISH']"
        yield from _check_function(where, path, publish_hook, _HOOK)


def _check_rule(where: str, text: str) -> Iterator[Error]:
    if text.startswith(PERMISSION):
        app = text.removeprefix(PERMISSION).partition(".")[0]
        if not apps.is_installed(app) and app not in apps.app_configs:
            yield Error(
                f"{where} asks for a permission of the app {app!r}, which is not installed.",
                hint="Name it by its app's label and its codename: 'permission:shop.view_order'.",
                id="realtime.E006",
            )
        return
    yield from _check_function(where, text, rule_of, "def may(user, room, claims) -> bool")


def _check_function(
    where: str, text: str, read: Callable[[str], object], form: str
) -> Iterator[Error]:
    try:
        read(text)
    except TypeError as error:
        yield Error(
            f"{where} can't be {text!r}: {error}",
            hint=f"Name a function: {form}, or async def.",
            id="realtime.E005",
        )
    except Exception as error:  # whatever importing the project's module raises
        yield Error(
            f"{where} can't be imported: {type(error).__name__}: {error}",
            hint="Name a function by its module and name, as 'package.module.function'.",
            id="realtime.E003",
        )


def _check_layers() -> Iterator[Error]:
    rooms = room_settings()
    for option, wanted, about in (
        ("history", histories(rooms), "what rooms remember"),
        ("calm", calm_rooms(rooms), "how often rooms are written to"),
    ):
        if wanted is None:
            continue
        for alias, config in _layer_configs():
            said = config.get(option)
            if said is None:
                continue
            try:
                same = _policies(option, said) == _policies(option, wanted)
            except ConfigurationError:  # which shardlayer's own check tells
                continue
            if not same:
                yield Error(
                    f"CHANNEL_LAYERS[{alias!r}]['CONFIG'][{option!r}] and REALTIME['ROOMS'] say "
                    f"different things about {about}.",
                    hint=f"Remove {option!r} from CONFIG. Then ROOMS counts.",
                    id="realtime.E007",
                )


def _layer_configs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the layers' aliases, each with its CONFIG, as far as they have the right form."""
    layers = channel_layers.configs
    for alias, layer in layers.items() if isinstance(layers, Mapping) else ():
        config = layer.get("CONFIG", {}) if isinstance(layer, Mapping) else None
        if isinstance(config, Mapping):
            yield alias, config


def _policies(option: str, said: object) -> list[tuple[str, object]]:
    options = LayerOptions.from_config(**{"history": {}, "calm": {}, option: said})
    policies = list(getattr(options, option).items())
    if option == "calm":  # behind the last calm rooms, others need not be named
        while policies and not policies[-1][1].max_rate:
            policies.pop()
    return policies


def _check_private_rooms() -> Iterator[Error]:
    prefix = conf().user_room_prefix
    for glob, rules in conf().rooms.items():
        said = [action for action in ("subscribe", "publish") if action in rules]
        if glob.startswith(prefix) and said:
            yield Error(
                f"REALTIME['ROOMS'][{glob!r}] has no effect on {' and '.join(said)}: rooms that "
                f"begin with {prefix!r} are users' own.",
                hint="Only its user joins such a room, and only the server publishes to it. Give "
                "your rooms other names, or set another USER_ROOM_PREFIX.",
                id="realtime.E008",
            )


def _check_events() -> Iterator[Warning]:
    for room in room_settings():
        if room.presence_events and not _is_as_open(room.presence, room.subscribe):
            yield Warning(
                f"REALTIME['ROOMS'][{room.glob!r}]: 'presence_events' tells all members who comes "
                f"and goes. Members need only 'subscribe': {room.subscribe!r}, but who asks needs "
                f"'presence': {room.presence!r}.",
                hint="Give 'presence' the rule of 'subscribe', or leave 'presence_events' out; "
                "or silence it: SILENCED_SYSTEM_CHECKS = ['realtime.W005'].",
                id="realtime.W005",
            )


def _is_as_open(rule: str, other: str) -> bool:
    """Return whether one rule lets in whomever another does, as far as is plain."""
    if rule in (other, ANYONE.text) or other == NOBODY.text:
        return True
    if rule in _OPENNESS and other in _OPENNESS:
        return _OPENNESS.index(rule) >= _OPENNESS.index(other)
    return False


def _check_age() -> Iterator[Warning]:
    if conf().authorize:
        yield Warning(
            AUTHORIZE_IS_OLD,
            hint=f"Begin with 'ROOMS': {_as_rooms()!r}. These functions take (user, room, claims).",
            id="realtime.W001",
        )


def _check_room_tokens() -> Iterator[Warning]:
    ages = {"ROOM_TOKEN_MAX_AGE": conf().room_token_max_age, "TOKEN_MAX_AGE": conf().token_max_age}
    config = dict(_layer_configs()).get(DEFAULT_CHANNEL_LAYER)
    if config is None:
        return
    kept = config.get("meta_ttl")
    if kept is None:
        kept = LayerOptions().meta_ttl
    elif not isinstance(kept, int | float):
        return  # shardlayer's own check tells
    for name, age in ages.items():
        if age > kept:
            yield Warning(
                f"REALTIME[{name!r}] is {age:,} s, and the layer's 'meta_ttl' is "
                f"{kept:,.0f} s. It is not remembered for longer who was put out of a room, so "
                "a token that names a user opens no room after that.",
                hint=f"Lower {name}, or raise 'meta_ttl' in "
                f"CHANNEL_LAYERS[{DEFAULT_CHANNEL_LAYER!r}]['CONFIG']; or silence it: "
                "SILENCED_SYSTEM_CHECKS = ['realtime.W007'].",
                id="realtime.W007",
            )


def _as_rooms() -> dict[str, dict[str, str]]:
    """Return what to write instead of AUTHORIZE and CLIENT_PUBLISH."""
    path = str(conf().authorize).rpartition(".")[0]
    read, write = f"{path}.may_subscribe", f"{path}.may_publish"
    return {
        room.glob: {"subscribe": read} | ({"publish": write} if room.publish == AUTHORIZE else {})
        for room in room_settings()
    }
