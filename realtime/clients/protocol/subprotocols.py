"""A token in the handshake: as a subprotocol, the one header that a page may choose.

A client offers `shardlayer` and `shardlayer-token.TOKEN`, with the token in base64url, since a
subprotocol's name has fewer characters than a token. The server takes the first, and never says
the token again. An address would be the wrong place: it stands in logs.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error
from collections.abc import Sequence
from typing import Any, Final

SUBPROTOCOL: Final = "shardlayer"
TOKEN_PREFIX: Final = "shardlayer-token."  # noqa: S105 (no password)


def acceptance(offered: Sequence[str]) -> dict[str, Any]:
    """Return the ASGI event that accepts a client which offers these subprotocols.

    Browsers end a connection whose server takes none of those that were offered.
    """
    event: dict[str, Any] = {"type": "websocket.accept"}
    if SUBPROTOCOL in offered:
        event["subprotocol"] = SUBPROTOCOL
    return event


def offered_token(offered: Sequence[str]) -> str | None:
    """Return the token among the subprotocols; None if there is none.

    One that is not encoded as it has to be is returned as no token can be: empty.
    """
    for name in offered:
        if name.startswith(TOKEN_PREFIX):
            encoded = name.removeprefix(TOKEN_PREFIX)
            try:
                return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("utf-8")
            except (Error, ValueError):
                return ""
    return None
