"""System checks of CHANNEL_LAYERS: a wrong setting is named, with what to do about it.

| id | what |
|---|---|
| shardlayer.E001 | a layer of CHANNEL_LAYERS can't be loaded, or its CONFIG or a key is wrong |
| shardlayer.E002 | a Redis server is too old |
| shardlayer.W001 | a Redis server does not answer |
| shardlayer.W002 | a Redis server may evict what the layer promises to keep |
| shardlayer.W003 | a Redis server may take all of its machine's memory |

They are registered when the layer is imported. Django imports no BACKEND for a check, so a project
names `shardlayer`, or `realtime`, in INSTALLED_APPS to have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import channel_layers
from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from shardlayer.broker.redis.server_report import ServerReport, probe
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.room_source import options_of_source
from shardlayer.core.serializers import Serializer
from shardlayer.layer.channel_layer import ShardedChannelLayer

_KEYS = ("BACKEND", "CONFIG", "TEST_CONFIG")  # that Channels reads
_OPTIONS = frozenset(option.name for option in fields(LayerOptions))


@register
def check_channel_layers(
    app_configs: Sequence[AppConfig] | None, *, with_servers: bool = True, **kwargs: Any
) -> list[CheckMessage]:
    """Check each layer of ours in CHANNEL_LAYERS, then its servers.

    Django knows nothing of `with_servers`; who asks the servers in another way calls it with False.
    """
    found: list[CheckMessage] = []
    hosts: dict[str, Host] = {}
    layers = channel_layers.configs
    if not isinstance(layers, Mapping):
        return [_wrong("CHANNEL_LAYERS", f"it is {layers!r}, not a dictionary")]
    for alias, layer in layers.items():
        where = f"CHANNEL_LAYERS[{alias!r}]"
        try:
            if not _is_ours(layer):
                continue
        except (ImportError, KeyError, TypeError, AttributeError) as error:
            found.append(_wrong(f"{where}['BACKEND']", _sentence(error)))
            continue
        ignored = _ignored(layer)
        if ignored:
            found.append(_wrong(where, ignored))
        try:
            options = _options(layer)
        except (ConfigurationError, TypeError) as error:
            found.append(_wrong(f"{where}['CONFIG']", str(error)))
            continue
        if not ignored:  # else they may be servers that nobody meant
            hosts |= {host.address: host for host in options.hosts if host.is_redis}
    return found + _check_servers(list(hosts.values())) if with_servers else found


def _is_ours(layer: Mapping[str, Any]) -> bool:
    """Say whether a layer is ours.

    Raises:
        ImportError, KeyError, TypeError, AttributeError: Its BACKEND is no class that is there.
    """
    return issubclass(import_string(layer["BACKEND"]), ShardedChannelLayer)


def _ignored(layer: Mapping[Any, Any]) -> str:
    """Return what is to be said of keys that Channels takes no notice of; "" if there are none."""
    said = [
        f"{key!r} belongs in its 'CONFIG'" if key in _OPTIONS else f"{key!r} is none of its keys"
        for key in layer
        if key not in _KEYS
    ]
    return f"{'; '.join(said)}; a layer has the keys {', '.join(_KEYS)}" if said else ""


def _options(layer: Mapping[str, Any]) -> LayerOptions:
    """Return what the CONFIG of a layer says.

    What is wrong with the settings of a history source is not CONFIG's mistake. The source's
    application has checks of its own, which name it.

    Raises:
        ConfigurationError: Something in it is wrong, or needs an extra that is not installed.
    """
    config = layer.get("CONFIG", {})
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"it is {config!r}, not a dictionary")
    if config.get("history") is None or config.get("calm") is None:
        try:
            options_of_source()
        except ConfigurationError:
            config = {"history": {}, "calm": {}, **config}
    options = LayerOptions.from_config(**config)
    Serializer(options.serializer_format, options.symmetric_encryption_keys)
    return options


def _sentence(error: Exception) -> str:
    return "it is missing" if isinstance(error, KeyError) else str(error)


def _wrong(where: str, why: str) -> Error:
    return Error(f"{where} is wrong: {why}", hint="See docs/settings.md.", id="shardlayer.E001")


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
            hint="Start it, or correct 'hosts' in CONFIG. Until then, processes wait for it.",
            id="shardlayer.W001",
        )
    if report.is_too_old:
        yield Error(
            f"CHANNEL_LAYERS: the Redis server {report.address} is {report.software} "
            f"{report.version}, which is too old.",
            hint="Use Redis 7.0 or Valkey 7.2, or later.",
            id="shardlayer.E002",
        )
    if report.evicts:
        yield Warning(
            f"CHANNEL_LAYERS: the Redis server {report.address} has maxmemory-policy "
            f"{report.maxmemory_policy}: when its memory is full it deletes rooms, and clients "
            "lose messages without notice.",
            hint="Set 'maxmemory-policy noeviction' in its configuration.",
            id="shardlayer.W002",
        )
    if report.is_unbounded:
        yield Warning(
            f"CHANNEL_LAYERS: the Redis server {report.address} has maxmemory 0: what is published "
            "may take all of its machine's memory, until the system ends it.",
            hint="Set 'maxmemory' in its configuration to what the machine can spare; a full "
            "server refuses publications, which their publishers are told.",
            id="shardlayer.W003",
        )
