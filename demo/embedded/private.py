"""Files that only their owner may read: data, logs and passwords of a development machine."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

PASSWORD_BYTES = 24  # of chance in a password
FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, also of one that was there.

    Those above it are made as usual. A folder of somebody else's stays as it is.
    """
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 != FOLDER_MODE:
        path.chmod(FOLDER_MODE)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in place of the one that was there."""
    fresh = _written_beside(path, text)
    fresh.replace(path)


def password_of(directory: Path) -> str:
    """Return the password of the server whose data is in a folder; made by whoever asks first."""
    path = directory / "password"
    if not path.exists():
        make_private_folder(directory)
        fresh = _written_beside(path, secrets.token_urlsafe(PASSWORD_BYTES))
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text()


def _written_beside(path: Path, text: str) -> Path:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
        file.write(text)
    return fresh
