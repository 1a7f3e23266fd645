"""The ASGI scope of a WebSocket: what Daphne's has, and `scheme` and `http_version`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from daphne.utils import parse_x_forwarded_for

from shardlayer.server.proxy import ROOT_PATH, ProxyOptions, root_path_of, trusts_proxy
from shardlayer.server.request import Head
from shardlayer.server.transports import Address

# Names that nearly each handshake has: shared, they save 400 bytes per connection.
_COMMON_NAMES = {
    name: name
    for name in (
        b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control",
        b"connection", b"cookie", b"host", b"origin", b"pragma", b"sec-fetch-dest",
        b"sec-fetch-mode", b"sec-fetch-site", b"sec-websocket-extensions", b"sec-websocket-key",
        b"sec-websocket-protocol", b"sec-websocket-version", b"upgrade", b"user-agent",
        b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
        b"x-real-ip",
    )
}  # fmt: skip

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class ScopeOptions(ProxyOptions, Protocol):
    """Daphne's options that shape a scope, as its Server has them."""

    root_path: str


def websocket_scope(
    head: Head,
    options: ScopeOptions,
    *,
    offered: Sequence[str],
    client: Address | None,
    server: Address | None,
    secure: bool,
    extensions: dict[str, Any],
) -> dict[str, Any]:
    """Return the scope of a valid opening handshake, given the subprotocols that it offers.

    Headers keep their order and repetitions; one with `_` in its name is dropped, since a proxy
    may have vouched for its twin with `-` (CVE-2015-0219). `Daphne-Root-Path` is no header for the
    application. With `--proxy-headers` the client's address, the scheme and the root path are the
    proxy's word; of several lines of one name the first counts, as it does in Daphne's HTTP.

    Raises:
        ValueError: A proxy that is believed names a root path that can't be one.
    """
    believes = trusts_proxy(options)
    root_path = options.root_path
    headers: list[tuple[bytes, bytes]] = []
    for name, value in head.headers:
        shared = _COMMON_NAMES.get(name)
        if shared is not None:
            headers.append((shared, value))
        elif name == ROOT_PATH:
            if believes:
                root_path = root_path_of(value)
        elif b"_" not in name:
            headers.append((name, value))

    scheme = "wss" if secure else "ws"
    if believes:
        # Not text: the proxy said nothing that could be believed.
        with suppress(UnicodeDecodeError):
            client, forwarded_scheme = parse_x_forwarded_for(
                dict(reversed(headers)),
                options.proxy_forwarded_address_header,
                options.proxy_forwarded_port_header,
                options.proxy_forwarded_proto_header,
                client,
                scheme,
            )
            scheme = _SCHEMES.get(forwarded_scheme.lower(), scheme)

    path, query = target_parts(head.request.path)
    return {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "root_path": root_path,
        "headers": headers,
        "query_string": query.encode("ascii"),
        "client": client,
        "server": server,
        # Daphne percent-decodes what the client offers, and so do we.
        "subprotocols": [unquote(name) for name in offered],
        "extensions": extensions,
    }


def target_parts(target: str) -> tuple[str, str]:
    """Return the path and the query of a request target, both still percent-encoded.

    A client may send the absolute form `http://host/path?query` (RFC 9112, 3.2.2).
    """
    if not target.startswith("/"):
        _, _, rest = target.partition("://")
        slash = rest.find("/")
        target = rest[slash:] if slash >= 0 else "/"
    path, _, query = target.partition("?")
    return path, query
