"""TLS to Redis: what connections share, and certificates that are renewed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection

from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.redis_clients import connect
from shardlayer.core.tls_contexts import _made
from shardlayer.layer import ShardedChannelLayer
from tests.contexts_made import contexts_made
from tests.contract.conftest import MakeLayer
from tests.contract.places import Place, TlsRedis, make_certificate
from tests.waiting import until


def host_of(address: str, **arguments: object) -> Host:
    """Return a server as CONFIG names it."""
    return LayerOptions.from_config(hosts=[{"address": address, **arguments}]).hosts[0]


def context_of(host: Host) -> ssl.SSLContext:
    """Return what a new connection would check certificates with."""
    pool: Any = connect(host, timeout=1.0).connection_pool  # not typed
    connection = pool.make_connection()
    assert isinstance(connection, SSLConnection)
    return connection.ssl_context.get()


@pytest.mark.needs("redis-server")
@pytest.mark.parametrize("place", ["tls"], indirect=True)
async def test_context_is_made_once(
    make_layer: MakeLayer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes tens of ms, in which the event loop stands still; a layer has many connections."""
    _made.cache_clear()
    made = contexts_made(monkeypatch)
    layers = [make_layer() for _ in range(3)]
    for layer in layers:
        await layer.publish("room", b"1")
        channel = await layer.new_channel()
        await layer.send(channel, {"type": "x"})
        assert await layer.receive(channel) == {"type": "x"}
        assert await layer.history("room")
        assert await layer.ping()
    assert len(made) == 1


def test_contexts_are_shared_by_what_is_alike(tmp_path: Path) -> None:
    """By servers with the same arguments; not by others."""
    certificate, key = (str(path) for path in make_certificate(tmp_path))
    first = host_of("rediss://127.0.0.1:1", ssl_ca_certs=certificate)
    second = host_of("rediss://127.0.0.1:2", ssl_ca_certs=certificate)
    other = host_of(
        "rediss://127.0.0.1:1",
        ssl_ca_certs=certificate,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    assert context_of(first) is context_of(second)
    assert context_of(other) is not context_of(first)
    assert context_of(other) is context_of(other)


def test_contexts_of_sentinels_are_shared(tmp_path: Path) -> None:
    """Those to the Sentinels, and those to the primary that they name."""
    certificate = str(make_certificate(tmp_path)[0])
    tls = {"ssl": True, "ssl_ca_certs": certificate}
    host = LayerOptions.from_config(
        hosts=[
            {
                "sentinels": [("127.0.0.1", 1), ("127.0.0.1", 2)],
                "master_name": "shards",
                "sentinel_kwargs": tls,
                **tls,
            }
        ]
    ).hosts[0]
    pool: Any = connect(host, timeout=1.0).connection_pool  # not typed
    pools = [pool, *(sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels)]
    assert len({each.make_connection().ssl_context.get() for each in pools}) == 1
    assert context_of(host) in {each.make_connection().ssl_context.get() for each in pools}


def test_a_file_that_is_gone_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before is not used in its place, nor are the system's read in vain."""
    certificate, _ = make_certificate(tmp_path)
    host = host_of("rediss://127.0.0.1:1", ssl_ca_certs=str(certificate))
    context_of(host)
    certificate.unlink()
    made = contexts_made(monkeypatch)
    with pytest.raises(FileNotFoundError):
        context_of(host)
    assert made == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"ssl_include_verify_flags": [ssl.VERIFY_X509_STRICT]},
        {"ssl_include_verify_flags": {ssl.VERIFY_X509_STRICT}},
    ],
    ids=["list", "set"],
)
def test_flags(arguments: dict[str, Any]) -> None:
    """They may come in what can't be hashed."""
    context = context_of(host_of("rediss://127.0.0.1:1", **arguments))
    assert context.verify_flags & ssl.VERIFY_X509_STRICT


def test_client_certificate(tmp_path: Path) -> None:
    """It is shared; with a key that is not its own it is an error, each time."""
    certificate, key = (str(path) for path in make_certificate(tmp_path))
    own = {"ssl_certfile": certificate, "ssl_keyfile": key}
    assert context_of(host_of("rediss://127.0.0.1:1", **own)) is context_of(
        host_of("rediss://127.0.0.1:2", **own)
    )
    (tmp_path / "other").mkdir()
    _, other = make_certificate(tmp_path / "other")
    wrong = host_of("rediss://127.0.0.1:1", **own | {"ssl_keyfile": str(other)})
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            context_of(wrong)


@pytest.mark.needs("redis-server")
async def test_renewed_certificate(tmp_path: Path) -> None:
    """A server comes back with another one, in the same files: layers check it with those."""
    certificate, key = make_certificate(tmp_path)
    server = TlsRedis(directory=tmp_path / "redis", certificate=certificate, key=key)
    with server:
        host = {"address": f"rediss://{server.address}", "ssl_ca_certs": str(certificate)}
        layer = ShardedChannelLayer(hosts=[host])
        try:
            assert await layer.publish("room", b"1")
            server.stop()
            make_certificate(tmp_path)
            server.start()

            async def is_back() -> bool:
                try:
                    return await layer.publish("room", b"2") is not None
                except ShardUnavailable:
                    return False

            await until(is_back)
        finally:
            await layer.close()
