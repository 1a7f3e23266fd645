"""One `bin/dev` at a time in a checkout: they would share var/."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from demo.devserver.errors import DevServerError
from demo.embedded.private import make_private_folder

LOCK = Path("var/dev.lock")


def take_lock() -> IO[str]:
    """Take the lock; it is held until the file returned is closed or this process ends.

    Raises:
        DevServerError: Another bin/dev runs in this checkout.
    """
    make_private_folder(LOCK.parent)
    file = LOCK.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise DevServerError(f"bin/dev runs in this checkout already (pid {pid}).") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
