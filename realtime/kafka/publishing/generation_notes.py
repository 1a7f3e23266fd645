"""What a pool that begins with the latest writes beside an offset: since when the group has it.

Where there is no commit, a member has to know what is new: the group, which begins with the latest,
or the partition, which it reads from its first record. The commits of other partitions tell that.
But where a group is new, its members may commit while others still ask. So each commit says in
which of the group's generations the partition was begun, and that of the asker's own is no sign.

On a broker that keeps no text beside an offset, every group looks new.
"""

from __future__ import annotations

import re

_NOTE = "begun in generation "
_pattern = re.compile(rf"{_NOTE}(\d{{1,10}})")


def generation_note(generation: int) -> str:
    """Return what is committed beside the offset of a partition that was begun then."""
    return f"{_NOTE}{generation}"


def generation_in(text: str) -> int | None:
    """Return the generation that a text beside an offset tells; None if it tells none."""
    found = _pattern.fullmatch(text)
    return int(found[1]) if found else None
