"""Opens the backend that keeps the shards where the options say that they are."""

from __future__ import annotations

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend
from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.options import LayerOptions


def open_backend(options: LayerOptions, tasks: Tasks) -> Backend:
    """Return a backend of the running loop, chosen by the scheme of `hosts` (see schemes.py).

    `tasks` is whose it begins for itself.

    Raises:
        ConfigurationError: If what the scheme names has not all roles of a backend.
        ImportError: If it can't be imported.
    """
    scheme = options.hosts[0].scheme
    backend = scheme.load()(options, tasks)
    if not isinstance(backend, Backend):
        raise ConfigurationError(
            f"{scheme.opens} opened a {type(backend).__name__}, not a Backend: a layer needs "
            f"all five roles of shardlayer.broker.interface."
        )
    return backend
