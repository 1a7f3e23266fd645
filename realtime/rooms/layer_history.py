"""What the rooms remember by `REALTIME["ROOMS"]`, handed to the channel layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from realtime.conf import room_settings
from realtime.rooms.room_settings import histories
from shardlayer import ConfigurationError


def history_of_rooms() -> Mapping[str, Any] | None:
    """Return the layer's option `history`; None if ROOMS says nothing of histories.

    Raises:
        ConfigurationError: REALTIME is wrong.
    """
    try:
        return histories(room_settings())
    except ImproperlyConfigured as error:
        raise ConfigurationError(str(error)) from error
