"""The Python client over TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from shardlayer.client import RoomClient
from tests.contexts_made import contexts_made
from tests.contract.places import make_certificate
from tests.waiting import until


async def test_connections_share_what_they_check_certificates_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All clients come back at once when a server does; each context takes tens of ms."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    own = ssl.create_default_context(cafile=str(certificate))
    made = contexts_made(monkeypatch)
    came = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1  # the handshake is over: the client trusts the server
        writer.close()

    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=serving) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        options = {"proxy": None}
        async with (
            RoomClient(url, connect_options=options),
            RoomClient(url, connect_options=options),
            RoomClient(url, connect_options=options | {"ssl": own}),
        ):
            await until(lambda: came >= 6)
    assert len(made) == 1
