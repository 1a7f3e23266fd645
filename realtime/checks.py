"""System checks: a wrong setting is named, with what to do about it.

| id | what |
|---|---|
| realtime.E001 | REALTIME has a key that is none of its settings, or is no dictionary |
| realtime.E002 | a value in REALTIME has the wrong form |
| realtime.E003 | a dotted path in REALTIME can't be imported |
| realtime.E004 | CHANNEL_LAYERS has no layer for the rooms: no 'default', or none of shardlayer's |
| realtime.E005 | what a dotted path in REALTIME names is no function |
| realtime.W006 | `manage.py runserver` is starting, and is one that serves no WebSocket |

shardlayer looks at what CHANNEL_LAYERS says (`shardlayer.layer.layer_checks`), which is registered
with the layer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from realtime.checkup.djangos_runserver import is_runserver_djangos
from realtime.conf import Conf, known_keys, problems
from realtime.sharded_layer import BACKEND, foreign_layer
from shardlayer import ShardedChannelLayer

_PATHS = ("AUTHORIZE", "KAFKA_ROUTE", "PRESENCE_INFO", "PRESENCE_FETCH")


@register
def check_realtime(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check the dictionary REALTIME."""
    values = getattr(settings, "REALTIME", {})
    found: list[CheckMessage] = [_problem(key, sentence) for key, sentence in problems(values)]
    return found or list(_dead_paths(values))


@register
def check_default_layer(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that there is a layer for rooms; shardlayer's own checks look at what it says."""
    layers = channel_layers.configs
    if not isinstance(layers, Mapping):
        return []
    if DEFAULT_CHANNEL_LAYER not in layers:
        return [
            Error(
                "CHANNEL_LAYERS has no 'default'.",
                hint="Set CHANNEL_LAYERS = {'default': {'BACKEND': "
                f"'{BACKEND}', 'CONFIG': {{'hosts': [...]}}}}}}.",
                id="realtime.E004",
            )
        ]
    backend = _backend(layers[DEFAULT_CHANNEL_LAYER])
    if backend is None or issubclass(backend, ShardedChannelLayer):
        return []
    return [
        Error(
            foreign_layer(DEFAULT_CHANNEL_LAYER, backend),
            hint="The rooms of clients are in this layer. Consumers of yours may have another one, "
            "by their channel_layer_alias. If this project only publishes, to a layer of another "
            "name, silence it: SILENCED_SYSTEM_CHECKS = ['realtime.E004'].",
            id="realtime.E004",
        )
    ]


@register
def check_runserver(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the `runserver` that is starting serves WebSockets; else nothing is said of it.

    Projects that are developed with another server don't need one that does.
    """
    if sys.argv[1:2] != ["runserver"] or not is_runserver_djangos():
        return []
    return [
        Warning(
            "This runserver serves no WebSocket: it is Django's own, which does not use "
            "ASGI_APPLICATION.",
            hint="Put 'daphne' at the beginning of INSTALLED_APPS and set ASGI_APPLICATION, or "
            "run another ASGI server, such as shardlayer-daphne.",
            id="realtime.W006",
        )
    ]


def _backend(layer: object) -> type | None:
    """Return the class of a layer; None if it can't be loaded, which shardlayer.E001 says."""
    try:
        backend = import_string(layer["BACKEND"])  # type: ignore[index]
    except Exception:  # whatever importing a BACKEND raises
        return None
    return backend if isinstance(backend, type) else None


def _problem(key: str, sentence: str) -> Error:
    known = known_keys()
    if key in known:
        hint = f"Its default is {_plain(_default(key))!r}."
        return Error(sentence, hint=hint, id="realtime.E002")
    close = get_close_matches(key.upper(), known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"The settings are: {', '.join(known)}."
    return Error(sentence, hint=hint, id="realtime.E001")


def _default(key: str) -> object:
    return getattr(Conf(), key.lower())


def _plain(value: object) -> object:
    """Return a default as one writes it in the settings."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _dead_paths(values: Mapping[str, Any]) -> Iterator[Error]:
    for key in _PATHS:
        path = values.get(key)
        if path is None:
            continue
        hint = "Name a function by its module and name, as 'package.module.function'."
        try:
            function = import_string(path)
        except Exception as error:  # whatever importing the project's module raises
            yield Error(
                f"REALTIME[{key!r}] can't be imported: {type(error).__name__}: {error}",
                hint=hint,
                id="realtime.E003",
            )
            continue
        if not callable(function):
            yield Error(
                f"REALTIME[{key!r}] can't be {path!r}, which is no function.",
                hint=hint,
                id="realtime.E005",
            )
