"""The embedded Valkey, as tests and bin/dev use it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from redis import AuthenticationError, Redis

from demo.embedded import EmbeddedServerError, EmbeddedValkey, free_port
from demo.embedded.ports import answers, is_free


def client_of(server: EmbeddedValkey) -> Redis:
    """Return a client that raises at once when the server is away."""
    return Redis.from_url(server.url, socket_connect_timeout=1)


def test_answers_while_the_block_lasts(tmp_path: Path) -> None:
    """Inside the block a client is served; after it the port is free again."""
    with EmbeddedValkey(directory=tmp_path) as server:
        with client_of(server) as client:
            assert client.ping()
        port = server.port
    assert is_free(port)
    assert not answers(port)


def test_never_evicts(redis_server: EmbeddedValkey) -> None:
    """Its memory policy keeps every key: eviction would break what history promises."""
    with client_of(redis_server) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("maxmemory") == {"maxmemory": str(1024**3)}


def test_listens_on_loopback_only(redis_server: EmbeddedValkey) -> None:
    """Nobody on the network reaches it."""
    with client_of(redis_server) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_password_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    """Nobody without it is let in, and no other user can read it off the process or a file."""
    with EmbeddedValkey(directory=tmp_path / "redis", password="pass-word") as server:
        with client_of(server) as client:
            assert client.ping()
        with (
            Redis.from_url(f"redis://{server.address}") as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.ping()
        server.flush()
        assert not EmbeddedValkey(directory=tmp_path, port=server.port).is_up()
        assert not any("pass-word" in word for word in psutil.Process(server.pid).cmdline())
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        holding = [path for path in files if "pass-word" in path.read_text(errors="replace")]
        assert [path.stat().st_mode & 0o777 for path in holding] == [0o600]
        assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o700


def test_flush_leaves_no_key_and_no_script(redis_server: EmbeddedValkey) -> None:
    """A test begins as on a new server."""
    with client_of(redis_server) as client:
        client.set("key", "value")
        digest = client.script_load("return 1")
        redis_server.flush()
        assert client.dbsize() == 0
        assert client.script_exists(digest) == [False]


@pytest.mark.parametrize(("persistent", "kept"), [(True, b"value"), (False, None)])
def test_restart_keeps_the_port_and_maybe_the_data(
    tmp_path: Path, persistent: bool, kept: bytes | None
) -> None:
    """A restarted server is found where it was, with its data only when it is persistent."""
    with EmbeddedValkey(directory=tmp_path, persistent=persistent) as server:
        port = server.port
        with client_of(server) as client:
            client.set("key", "value")
        server.stop()
        server.start()
        with client_of(server) as client:
            assert client.get("key") == kept
        assert server.port == port


def test_options_win(tmp_path: Path) -> None:
    """Further options of valkey-server override the defaults."""
    with (
        EmbeddedValkey(directory=tmp_path, options=["--databases", "1"]) as server,
        client_of(server) as client,
    ):
        assert client.config_get("databases") == {"databases": "1"}


def test_taken_port_is_named(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """A server that answers on the port is not taken for ours."""
    second = EmbeddedValkey(directory=tmp_path, port=redis_server.port)
    with pytest.raises(EmbeddedServerError, match=f"Port {redis_server.port} is taken"):
        second.start()
    assert second.pid is None


def test_failed_start_shows_what_the_server_said(tmp_path: Path) -> None:
    """The error holds the server's own last lines, and nothing is left running."""
    server = EmbeddedValkey(directory=tmp_path, port=free_port(), options=["--no-such-option", "1"])
    with pytest.raises(EmbeddedServerError, match="no-such-option"):
        server.start()
    assert server.pid is None


def test_second_start_is_refused(redis_server: EmbeddedValkey) -> None:
    """Starting twice would lose the first process."""
    with pytest.raises(EmbeddedServerError, match="running already"):
        redis_server.start()


async def test_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """A server started by a pool's thread stays up when that thread ends."""
    server = EmbeddedValkey(directory=tmp_path)
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(server.start)
    try:
        await loop.shutdown_default_executor()
        assert server.is_up()
    finally:
        server.stop()


def test_killed_server_is_gone_at_once(tmp_path: Path) -> None:
    """kill() is a crash: no time to write anything, and start() works again."""
    with EmbeddedValkey(directory=tmp_path) as server:
        pid = server.pid
        assert pid is not None
        server.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        server.start()
        assert server.is_up()
