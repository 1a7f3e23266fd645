"""The release before this one, as a process beside it.

`previous.tar.gz` holds its `shardlayer/`: what is written to Redis, and what reads it. It is a
copy, since a shallow clone has no history. (Before the first release it is the code of
21 November 2026.) When a release is made, `python -m tests.mixed_versions.previous COMMIT` makes
it anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = Path(__file__).with_name("previous.tar.gz")
PEER = Path(__file__).with_name("peer.py")


def unpack(directory: Path) -> Path:
    """Unpack the release before this one; return the folder for PYTHONPATH."""
    with tarfile.open(ARCHIVE) as archive:
        # The filter is missing in Python 3.11.3 and before; the archive is our own.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(directory, filter="data")
        else:
            archive.extractall(directory)
    return directory


class PeerProcess:
    """A process with a layer of one release; as a context manager it runs inside the block.

    Args:
        code: The folder that holds the release's `shardlayer/`.
        url: The Redis server.
        log: Where its errors go.
    """

    def __init__(self, code: Path, url: str, log: Path) -> None:
        self._code, self._url, self._log = code, url, log

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, PEER, self._url],
                env={**os.environ, "PYTHONPATH": str(self._code)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    @property
    def errors(self) -> str:
        """What it logged."""
        return self._log.read_text()

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Have it do one command of peer.py, and return the result.

        Raises:
            AssertionError: It raised; says what.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{command}: it has ended. {self.errors}"
        answer = json.loads(line)
        assert "error" not in answer, f"{command}: {answer['error']}\n{self.errors}"
        return answer["result"]


def freeze(commit: str) -> None:
    """Make the archive of a commit."""
    command = ["git", "archive", "--format=tar.gz", "-9", commit, "shardlayer"]
    packed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    ARCHIVE.write_bytes(packed.stdout)


if __name__ == "__main__":
    freeze(sys.argv[1])
