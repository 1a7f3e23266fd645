"""The Lua scripts that run inside Redis, one file each.

A file opens with its KEYS, its ARGV and what it returns. They are read once per process and called
by their SHA-1 (EVALSHA), so that a call carries 40 bytes and not the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    Attributes:
        name: The file's name without `.lua`.
        source: Its text.
        sha: The SHA-1 of the text in hexadecimal, by which Redis knows it.
    """

    name: str
    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


@cache
def script(name: str) -> Script:
    """Return the script of that name, read on first use."""
    return Script(name, files(__name__).joinpath(f"{name}.lua").read_text("utf-8"))


@cache
def all_scripts() -> tuple[Script, ...]:
    """Return every script, read on first use."""
    return tuple(
        script(file.name.removesuffix(".lua"))
        for file in files(__name__).iterdir()
        if file.name.endswith(".lua")
    )


def script_of(command: Sequence[object]) -> Script | None:
    """Return the script that a command calls by its SHA-1; None if it calls none of ours."""
    return _by_sha().get(command[1]) if command[0] == "EVALSHA" else None


@cache
def _by_sha() -> dict[object, Script]:
    return {script.sha: script for script in all_scripts()}
