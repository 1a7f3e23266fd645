"""What `REALTIME["ROOMS"]` says of rooms that the layer does, handed to the channel layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from realtime.conf import room_settings
from realtime.rooms.room_settings import calm_rooms, histories
from shardlayer import ConfigurationError


def options_of_rooms() -> Mapping[str, Any]:
    """Return the layer's options `history` and `calm`, without those that ROOMS says nothing of.

    Raises:
        ConfigurationError: REALTIME is wrong.
    """
    try:
        rooms = room_settings()
    except ImproperlyConfigured as error:
        raise ConfigurationError(str(error)) from error
    said = {"history": histories(rooms), "calm": calm_rooms(rooms)}
    return {name: value for name, value in said.items() if value is not None}
