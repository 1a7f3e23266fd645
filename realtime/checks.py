"""System checks: a wrong setting is named, with what to do about it.

| id | what |
|---|---|
| realtime.E001 | REALTIME has a key that is none of its settings, or is no dictionary |
| realtime.E002 | a value in REALTIME has the wrong form |
| realtime.E003 | a dotted path in REALTIME leads nowhere |
| realtime.E004 | CHANNEL_LAYERS has no usable layer, or its CONFIG is wrong |
| realtime.E005 | a Redis server is too old |
| realtime.W001 | a Redis server does not answer |
| realtime.W002 | a Redis server may evict what the layer promises to keep |
| realtime.W003 | a Redis server may take all of its machine's memory |
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from realtime.conf import Conf, known_keys, problems
from shardlayer import (
    ConfigurationError,
    Host,
    LayerOptions,
    ServerReport,
    ShardedChannelLayer,
    probe,
)

_PATHS = ("AUTHORIZE", "KAFKA_ROUTE")


@register
def check_realtime(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check the dictionary REALTIME."""
    values = getattr(settings, "REALTIME", {})
    found: list[CheckMessage] = [_problem(key, sentence) for key, sentence in problems(values)]
    return found or list(_dead_paths(values))


@register
def check_channel_layers(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Check CONFIG of each layer of ours in CHANNEL_LAYERS, then its servers."""
    found: list[CheckMessage] = []
    hosts: dict[str, Host] = {}
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    if "default" not in layers:
        found.append(
            Error(
                "CHANNEL_LAYERS has no 'default'.",
                hint="Set CHANNEL_LAYERS = {'default': {'BACKEND': "
                "'shardlayer.layer.ShardedChannelLayer', 'CONFIG': {'hosts': [...]}}}.",
                id="realtime.E004",
            )
        )
    for alias, layer in layers.items():
        try:
            if issubclass(import_string(layer["BACKEND"]), ShardedChannelLayer):
                options = LayerOptions.from_config(**layer.get("CONFIG", {}))
                hosts |= {host.address: host for host in options.hosts}
        except (ImportError, KeyError) as error:
            found.append(_bad_layer(f"CHANNEL_LAYERS[{alias!r}]['BACKEND']", error))
        except ConfigurationError as error:
            found.append(_bad_layer(f"CHANNEL_LAYERS[{alias!r}]['CONFIG']", error))
    return found + _check_servers([host for host in hosts.values() if host.is_redis])


def _problem(key: str, sentence: str) -> Error:
    known = known_keys()
    if key in known:
        return Error(sentence, hint=f"Its default is {_default(key)!r}.", id="realtime.E002")
    close = get_close_matches(key.upper(), known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"The settings are: {', '.join(known)}."
    return Error(sentence, hint=hint, id="realtime.E001")


def _default(key: str) -> object:
    return getattr(Conf(), key.lower())


def _dead_paths(values: Mapping[str, Any]) -> Iterator[Error]:
    for key in _PATHS:
        path = values.get(key)
        if path is None:
            continue
        try:
            import_string(path)
        except ImportError as error:
            yield Error(
                f"REALTIME[{key!r}] leads nowhere: {error}",
                hint="Name a function by its module and name, as 'package.module.function'.",
                id="realtime.E003",
            )


def _bad_layer(where: str, error: Exception) -> Error:
    return Error(f"{where} is wrong: {error}", hint="See docs/settings.md.", id="realtime.E004")


def _check_servers(hosts: Sequence[Host]) -> list[CheckMessage]:
    if not hosts:
        return []
    reports = async_to_sync(_probe_all)(hosts)
    return [message for report in reports for message in _judge(report)]


async def _probe_all(hosts: Sequence[Host]) -> list[ServerReport]:
    return await asyncio.gather(*map(probe, hosts))  # one dead server is waited for, not all


def _judge(report: ServerReport) -> Iterator[CheckMessage]:
    if report.error:
        yield Warning(
            f"CHANNEL_LAYERS: the Redis server {report.address} does not answer: {report.error}",
            hint="Start it, or correct 'hosts' in CONFIG. Processes wait for it meanwhile.",
            id="realtime.W001",
        )
    if report.is_too_old:
        yield Error(
            f"CHANNEL_LAYERS: the Redis server {report.address} is {report.software} "
            f"{report.version}, which is too old.",
            hint="Redis 7.0 or Valkey 7.2 and later will do.",
            id="realtime.E005",
        )
    if report.evicts:
        yield Warning(
            f"CHANNEL_LAYERS: the Redis server {report.address} has maxmemory-policy "
            f"{report.maxmemory_policy}: when its memory is full it deletes rooms, and clients "
            "lose messages unseen.",
            hint="Set 'maxmemory-policy noeviction' in its configuration.",
            id="realtime.W002",
        )
    if report.is_unbounded:
        yield Warning(
            f"CHANNEL_LAYERS: the Redis server {report.address} has maxmemory 0: what is published "
            "may take all of its machine's memory, until the system ends it.",
            hint="Set 'maxmemory' in its configuration to what the machine can spare; a full "
            "server refuses publications, which their publishers are told.",
            id="realtime.W003",
        )
