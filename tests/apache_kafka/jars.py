"""Kafka's jars: fetched by Maven once for each version, kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

POM = Path(__file__).with_name("pom.xml")
ATTEMPTS = 3  # Maven gives up on the first connection that breaks
FETCH_TIMEOUT = 300.0  # seconds for an attempt; 43 MB


class JarsNotFetched(RuntimeError):
    """Maven could not fetch them; the message holds what it said."""


def cache_folder() -> Path:
    """Return where this project keeps what can be fetched again (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "shardlayer"


def kafka_jars(*, cache: Path | None = None) -> Path:
    """Return the folder with the jars that the pom names; the first call takes half a minute.

    The folder is named by the pom's content, so another version is another folder. It appears
    whole or not at all, and of several processes that ask at once, one fetches.

    Args:
        cache: Where to keep it; `cache_folder()` by default.

    Raises:
        JarsNotFetched: Maven failed: no network, or a version that there is not.
    """
    cache = cache or cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / f"apache-kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    with _alone(cache / "apache-kafka.lock"):
        if not jars.is_dir():
            fetched = Path(mkdtemp(prefix="apache-kafka-", suffix=".part", dir=cache))
            try:
                _fetch(fetched)
                fetched.rename(jars)
            except BaseException:
                shutil.rmtree(fetched, ignore_errors=True)
                raise
    return jars


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is inside; the system lets go of a dead one's lock."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path) -> None:
    command = [
        *("mvn", "--quiet", "--batch-mode", "--file", str(POM)),
        *("dependency:copy-dependencies", f"-DoutputDirectory={folder}"),
    ]
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        if done.returncode == 0:
            return
    raise JarsNotFetched(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
