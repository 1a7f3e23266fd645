"""The ASGI scope of a WebSocket: what Daphne's has, and `scheme` and `http_version`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from daphne.utils import parse_x_forwarded_for

from shardlayer.server.proxy import ROOT_PATH, ProxyOptions, root_path_of, trusts_proxy
from shardlayer.server.request import COMMON_NAMES, Head
from shardlayer.server.transports import Address

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
    headers = head.headers
    if not head.values.keys() <= COMMON_NAMES:  # of which none is dropped
        if believes and ROOT_PATH in head.values:
            root_path = root_path_of(head.values[ROOT_PATH])
        headers = [item for item in headers if item[0] != ROOT_PATH and b"_" not in item[0]]

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

    path, query = target_parts(head.target)
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
