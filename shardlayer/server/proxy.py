"""What a proxy says about a client, if `--proxy-headers` says that there is one to believe.

Both halves of the server, HTTP and WebSockets, ask here, so that they name the same client.
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import unquote

ROOT_PATH = b"daphne-root-path"  # a header, in lower case

# Of names that no browser takes for anything else: it reads `//host` and `/\host` as an address of
# another site, and a page's links begin with its root path.
_is_root_path = re.compile(r"(?:/[^/\\?#\x00-\x1f\x7f-\x9f]+)*/?").fullmatch


class ProxyOptions(Protocol):
    """Daphne's options on proxies, as its Server has them; None without `--proxy-headers`."""

    proxy_forwarded_address_header: str | None
    proxy_forwarded_port_header: str | None
    proxy_forwarded_proto_header: str | None


def trusts_proxy(options: ProxyOptions) -> bool:
    """Say whether what a proxy's headers say is believed."""
    return bool(options.proxy_forwarded_address_header)


def proxy_headers(options: ProxyOptions) -> list[bytes]:
    """Return the names of the headers that tell the client's address and scheme, in lower case."""
    names = (
        options.proxy_forwarded_address_header,
        options.proxy_forwarded_port_header,
        options.proxy_forwarded_proto_header,
    )
    return [name.lower().encode("latin-1") for name in names if name]


def root_path_of(value: bytes) -> str:
    """Return the root path that `Daphne-Root-Path` names, percent-decoded.

    Raises:
        ValueError: It is no path below this site: not ASCII, `//host`, no slash in front.
    """
    path = unquote(value.decode("ascii"))
    if not _is_root_path(path):
        raise ValueError("This is no root path.")
    return path
