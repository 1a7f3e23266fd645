"""Brings the database up to date, in one Django process and only when something changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.devserver.errors import DevServerError

DATABASE = Path("var/db.sqlite3")  # as config/settings.py has it
STAMP = Path("var/database.json")
INSTALLED = Path(sys.prefix, "installed.json")  # bin/install.py's: what packages there are
LOG_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was found or done.

    Attributes:
        changed: Whether Django was started for it.
        demo_admin: Whether the login admin/admin was made (only with DEBUG).
    """

    changed: bool
    demo_admin: bool


def prepare_database(environment: Mapping[str, str]) -> Prepared:
    """Migrate the database and make the demo admin, unless the last time still holds.

    A database of DATABASE_URL is asked each time: it may be another one behind the same address.

    Raises:
        DevServerError: It failed; the message has the last lines.
    """
    digest = _digest(environment)
    if DATABASE.exists() and not environment.get("DATABASE_URL"):
        stamp = _read_stamp()
        if stamp.get("digest") == digest:
            return Prepared(changed=False, demo_admin=bool(stamp.get("demo_admin")))
    done = subprocess.run(
        [sys.executable, "-m", "demo.devserver.prepare"],
        env=dict(environment),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-LOG_LINES:]
        raise DevServerError("The database could not be prepared:\n  " + "\n  ".join(lines))
    demo_admin = done.stdout.split()[-1:] == ["demo-admin"]
    STAMP.write_text(json.dumps({"digest": digest, "demo_admin": demo_admin}))
    return Prepared(changed=True, demo_admin=demo_admin)


def _digest(environment: Mapping[str, str]) -> str:
    """Return a digest of what decides whether there is anything to do."""
    digest = hashlib.sha256()
    sources = [INSTALLED, Path("config/settings.py"), *sorted(Path().glob("*/migrations/*.py"))]
    for source in sources:
        digest.update(os.fsencode(source))
        digest.update(source.read_bytes() if source.exists() else b"")
    digest.update(environment.get("DJANGO_DEBUG", "").encode())
    return digest.hexdigest()


def _read_stamp() -> dict[str, object]:
    try:
        stamp: dict[str, object] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp
