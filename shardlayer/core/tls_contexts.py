"""TLS contexts that connections share.

Python reads all certificates that the system trusts into each new `SSLContext`. That takes 20 to
50 ms, and the event loop stands still meanwhile. One context may serve any number of connections.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import Any

KEPT = 32  # contexts, of some 800 KB each; one for each way to reach servers


def shared_context(
    make: Callable[..., ssl.SSLContext],
    *arguments: Any,
    files: Iterable[str | None] = (),
    folders: Iterable[str | None] = (),
) -> ssl.SSLContext:
    """Return what `make(*arguments)` returned before, unless a file has changed since.

    The system's own certificates count as files. So a renewed one is used from the next connection
    on. Arguments that can't be hashed are never found again.

    Args:
        files: What `make` reads; None is no file.
        folders: Folders of certificates; one text may name several, as OpenSSL takes them.

    Raises:
        Exception: What `make` raises; it is called again the next time.
    """
    try:
        hash(arguments)
    except TypeError:
        return make(*arguments)
    paths = ssl.get_default_verify_paths()
    states = (
        *(_state(path) for path in (*files, paths.cafile, paths.capath)),
        *(_states_in(path) for path in folders if path),
    )
    return _made(make, arguments, states)


@lru_cache(maxsize=KEPT)
def _made(
    make: Callable[..., ssl.SSLContext],
    arguments: tuple[Hashable, ...],
    _states: tuple[Hashable, ...],
) -> ssl.SSLContext:
    return make(*arguments)


def _state(path: str | None) -> Hashable:
    """Return what tells a file from the one that was there before."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None  # who reads it says what is wrong
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _states_in(path: str) -> Hashable:
    """Return the same of all files in folders: OpenSSL reads them when it needs them, and once."""
    states: list[Hashable] = []
    for folder in path.split(os.pathsep):
        try:
            states += sorted(
                (name, _state(os.path.join(folder, name))) for name in os.listdir(folder)
            )
        except (OSError, ValueError):
            states.append(None)
    return tuple(states)
