"""Clients of redis-py: what each connection costs before it connects."""

from __future__ import annotations

from typing import Any

import pytest
from redis import utils
from redis.driver_info import DriverInfo

from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect

URL = "redis://127.0.0.1:1"


def make_connection(host: Host) -> Any:
    """Return a connection that is not connected."""
    pool: Any = connect(host, timeout=1.0).connection_pool  # not typed
    return pool.make_connection()


def test_library_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py would read the files of its wheel for each connection: 0.3 ms."""
    first = make_connection(Host(url=URL)).driver_info
    monkeypatch.delattr(utils, "get_lib_version")
    assert make_connection(Host(url="redis://127.0.0.1:2")).driver_info is first
    assert first.formatted_name == "redis-py"


def test_name_that_the_settings_give() -> None:
    """It stays what CLIENT LIST shows."""
    mine = DriverInfo(name="mine", lib_version="1")
    assert make_connection(Host(url=URL, arguments={"driver_info": mine})).driver_info is mine
    with pytest.warns(DeprecationWarning, match="lib_name"):
        connection = make_connection(Host(url=f"{URL}?lib_name=mine"))
    assert connection.driver_info.name == "mine"
