"""Where the layer's servers are, as the environment says it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.redis import redis_config
from shardlayer.core.hosts import parse_hosts


def test_addresses() -> None:
    """One address or more; this machine's by default."""
    assert redis_config({}) == {"hosts": ["redis://127.0.0.1:6379"], "wait_replicas": 0}
    found = redis_config({"REDIS_URL": "redis://a, redis://b", "REDIS_WAIT_REPLICAS": "1"})
    assert found == {"hosts": ["redis://a", "redis://b"], "wait_replicas": 1}


def test_cluster() -> None:
    """The addresses are those of a Cluster's nodes."""
    assert redis_config({"REDIS_CLUSTER": "1", "REDIS_URL": "redis://a"})["cluster"] is True


def test_sentinels() -> None:
    """Sentinels and the primary that they name, with one password; the layer can read it."""
    environ = {"REDIS_SENTINELS": "s1:5000,s2", "REDIS_PASSWORD": "p"}
    config = redis_config(environ)
    [host] = parse_hosts(config["hosts"])
    assert host.master_name == "shards"
    assert host.sentinels == (("s1", 5000), ("s2", 26379))
    assert host.arguments["password"] == host.sentinel_arguments["password"] == "p"


def test_sentinels_without_a_password() -> None:
    """Nothing is said that is not known."""
    [host] = parse_hosts(redis_config({"REDIS_SENTINELS": "s", "REDIS_PRIMARY": "x"})["hosts"])
    assert (host.master_name, dict(host.arguments)) == ("x", {})


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_SENTINELS": "s1:port"},
        {"REDIS_SENTINELS": "s1", "REDIS_CLUSTER": "1"},
        {"REDIS_WAIT_REPLICAS": "-1"},
    ],
)
def test_wrong(environ: dict[str, str]) -> None:
    """What can't be meant is an error that names the variable."""
    with pytest.raises(ImproperlyConfigured, match=next(iter(environ))):
        redis_config(environ)
