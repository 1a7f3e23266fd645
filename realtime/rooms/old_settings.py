"""CLIENT_PUBLISH and AUTHORIZE, which ROOMS replaces: what of them still works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from realtime.rooms.room_settings import AUTHORIZE, RoomSettings

AUTHORIZE_IS_OLD: Final = (
    "REALTIME['AUTHORIZE'] and ['CLIENT_PUBLISH'] are replaced by REALTIME['ROOMS'], and will be "
    "removed in version 0.2. docs/access.md says what to write instead."
)


def rooms_of_authorize(client_publish: Sequence[str]) -> tuple[RoomSettings, ...]:
    """Return what CLIENT_PUBLISH and AUTHORIZE said, as rules."""
    publishable = [
        RoomSettings(glob=glob, subscribe=AUTHORIZE, publish=AUTHORIZE) for glob in client_publish
    ]
    return (*publishable, RoomSettings(glob="*", subscribe=AUTHORIZE))


def old_setting_problems(values: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield keys that can't go on, with a sentence: they left all open, or stand beside ROOMS.

    CLIENT_PUBLISH alone let everybody read everything; nobody has said that this is meant.
    """
    publish, authorize = values.get("CLIENT_PUBLISH"), values.get("AUTHORIZE")
    if "ROOMS" in values:
        for key in ("CLIENT_PUBLISH", "AUTHORIZE"):
            if values.get(key):
                yield key, f"REALTIME[{key!r}] has no effect beside REALTIME['ROOMS']: remove it."
    elif publish and not authorize and isinstance(publish, list | tuple):
        globs = [glob for glob in publish if isinstance(glob, str)]
        rules = {glob: {"subscribe": "signed_in", "publish": "signed_in"} for glob in globs}
        yield (
            "CLIENT_PUBLISH",
            f"REALTIME['CLIENT_PUBLISH'] is replaced by REALTIME['ROOMS']. Write, with the rules "
            f"that you want: 'ROOMS': {rules | {'*': {'subscribe': 'signed_in'}}}. The rule "
            f"'anyone' allows everybody, signed in or not.",
        )
