"""Every key and channel name that Shardlayer uses in Redis. No other module spells one.

All of a shard's names begin with its hash tag in braces, `{rt.07}`, and then say what they are:

| name               | kind          | holds                                                      |
|--------------------|---------------|------------------------------------------------------------|
| `:alive`           | sorted set    | node -> when its lease ends, in ms of Redis's clock        |
| `:born`            | string        | when the registry was found new, in ms of Redis's clock    |
| `:writer:WRITER`   | string        | a publisher's last batch: its number and its answer        |
| `:life`            | string        | since when the server can't be trusted to have all it had  |
| `:targeted`        | string        | percent of the rooms that just interested nodes are told of |
| `:marks`           | hash          | source -> offset and index of what was last taken from it  |
| `:once:GROUP:KEY`  | string        | offset and epoch of the publication that had that key      |
| `:nodes:GROUP`     | hash          | node -> how many members it has; `#CHANNEL` -> until when   |
|                    |               | a normal channel is a member, in ms of Redis's clock       |
| `:present`         | hash          | node -> number and answer of its last announcement; `-`    |
|                    |               | while it is being cleared; `#` -> see watch.lua            |
| `:here:NODE`       | sorted set    | who is in which rooms there: see `presence_scripts.py`     |
| `:people:ROOM`     | hash          | person -> how many connections to the room                 |
| `:meta:GROUP`      | string        | the last offset, the epoch and the life that it is of       |
| `:history:GROUP`   | stream        | id `OFFSET-0`, fields: see publish.lua            |
| `:latest:GROUP`    | string        | the newest publication of a group that keeps it: an entry   |
| `:queue:CHANNEL`   | list          | a channel's messages, each after its expiry                |
| `:waiting:CHANNEL` | sorted set    | node -> since when it waits for a message of a channel not |
|                    |               | its own, in µs of Redis's clock                            |
| `:held:CHANNEL`    | string        | how many group messages wait where a channel is received   |
| `:orders:NODE`     | sorted set    | what a node is told of its channels in groups -> number,   |
|                    |               | until it has taken it: see enroll.lua                      |
| `:census:QUESTION` | hash          | node -> which channels of a group it receives: its answer  |
| `:swept`           | string        | that the server was searched for what is gone, of late     |
| `:reports`         | hash          | process -> when it said so, and what it says of itself     |
| `:reported`        | sorted set    | process -> when that is over, in ms of Redis's clock       |
| `:totals`          | hash          | step of time and name -> what all processes told, added up |
| `:inbox:NODE`      | pub/sub       | batches for one node                                       |
| `:joint:NODE`      | pub/sub       | batches of several shards for one node; on the first shard |
|                    |               | of a server, and in no Cluster                             |
| `:all`             | pub/sub       | batches for all nodes                                      |
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The names of one shard.

    Attributes:
        tag: The shard's hash tag, without braces.
    """

    tag: str
    alive: str = field(init=False)
    born: str = field(init=False)
    life: str = field(init=False)
    targeted: str = field(init=False)
    marks: str = field(init=False)
    swept: str = field(init=False)
    reports: str = field(init=False)
    reported: str = field(init=False)
    totals: str = field(init=False)
    all_nodes: str = field(init=False)
    inbox_prefix: str = field(init=False)
    joint_prefix: str = field(init=False)
    present: str = field(init=False)
    here_prefix: str = field(init=False)
    nodes_prefix: str = field(init=False)
    meta_prefix: str = field(init=False)
    history_prefix: str = field(init=False)
    _base: str = field(init=False)

    def __post_init__(self) -> None:
        base = f"{{{self.tag}}}:"
        set_once = object.__setattr__
        set_once(self, "_base", base)
        set_once(self, "alive", base + "alive")
        set_once(self, "born", base + "born")
        set_once(self, "life", base + "life")
        set_once(self, "targeted", base + "targeted")
        set_once(self, "marks", base + "marks")
        set_once(self, "swept", base + "swept")
        set_once(self, "reports", base + "reports")
        set_once(self, "reported", base + "reported")
        set_once(self, "totals", base + "totals")
        set_once(self, "all_nodes", base + "all")
        set_once(self, "inbox_prefix", base + "inbox:")
        set_once(self, "joint_prefix", base + "joint:")
        set_once(self, "present", base + "present")
        set_once(self, "here_prefix", base + "here:")
        set_once(self, "nodes_prefix", base + "nodes:")
        set_once(self, "meta_prefix", base + "meta:")
        set_once(self, "history_prefix", base + "history:")

    def writer(self, writer: str) -> str:
        """Return the key of a publisher's last batch."""
        return f"{self._base}writer:{writer}"

    def once(self, group: str, key: str) -> str:
        """Return the key of where the publication with an idempotency key stands."""
        return f"{self._base}once:{group}:{key}"

    def nodes(self, group: str) -> str:
        """Return the key of a group's nodes."""
        return self.nodes_prefix + group

    def here(self, node: str) -> str:
        """Return the key of who is in rooms at a node."""
        return self.here_prefix + node

    def people(self, room: str) -> str:
        """Return the key of the people in a room."""
        return f"{self._base}people:{room}"

    def meta(self, group: str) -> str:
        """Return the key of a group's offset and epoch."""
        return self.meta_prefix + group

    def history(self, group: str) -> str:
        """Return the key of a group's history."""
        return self.history_prefix + group

    def latest(self, group: str) -> str:
        """Return the key of the newest publication of a group that keeps it."""
        return f"{self._base}latest:{group}"

    def queue(self, channel: str) -> str:
        """Return the key of a channel's messages."""
        return f"{self._base}queue:{channel}"

    def waiting(self, channel: str) -> str:
        """Return the key of the nodes that wait for a message of a channel not their own."""
        return f"{self._base}waiting:{channel}"

    def held(self, channel: str) -> str:
        """Return the key of how many group messages wait where a channel is received."""
        return f"{self._base}held:{channel}"

    def orders(self, node: str) -> str:
        """Return the key of what a node is told of its channels in groups."""
        return f"{self._base}orders:{node}"

    def census(self, question: str) -> str:
        """Return the key of the answers to a question for a group's members."""
        return f"{self._base}census:{question}"

    def inbox(self, node: str) -> str:
        """Return the pub/sub channel of a node."""
        return f"{self._base}inbox:{node}"


def layout_tag(prefix: str) -> str:
    """Return the hash tag, without braces, of what concerns no shard."""
    return f"{prefix}.layout"


def layout_key(prefix: str) -> str:
    """Return the key, on every server, that says how many shards the prefix has."""
    return f"{{{layout_tag(prefix)}}}:shards"


CHANNEL_MARK = "#"
"""Begins the field of a normal channel in a group's `nodes`; no node's id has it."""


def scan_pattern(prefix: str) -> str:
    """Return the SCAN pattern that matches every key of every shard of `prefix`.

    It matches those of a prefix that begins with this one and a dot, too: see `tag_of`. Groups
    are then found by `parse_group_key`.
    """
    return f"{{{_escape(prefix)}.*}}:*"


def group_pattern(prefix: str) -> str:
    """Return the SCAN pattern of the keys that `parse_group_key` knows, and of few others."""
    return scan_pattern(prefix)[:-1] + "[mn][eo][td]*:*"  # meta, nodes


def run_key(prefix: str) -> str:
    """Return the key, on every server, that says which run of the server wrote last."""
    return f"{{{layout_tag(prefix)}}}:run"


_OUTLIVING = {
    *("alive", "born", "writer", "life", "targeted", "marks", "shards", "run"),
    *("reports", "reported", "totals"),
}


def outlives_flush(key: str) -> bool:
    """Tell whether a flush leaves a key: what processes go by, neither message nor group."""
    return kind_of(key) in _OUTLIVING


def kind_of(key: str) -> str:
    """Return what a key of ours holds: what stands behind its hash tag."""
    return key.partition("}:")[2].partition(":")[0]


def name_of(key: str) -> str:
    """Return the group, channel or writer of a key of ours, or an empty text."""
    return key.partition("}:")[2].partition(":")[2]


def parse_group_key(key: str) -> tuple[str, str] | None:
    """Return the (hash tag, group) of a `nodes` or `meta` key; None for any other key."""
    tag, brace, rest = key[1:].partition("}:")
    kind, colon, group = rest.partition(":")
    if not brace or not colon or kind not in ("nodes", "meta"):
        return None
    return tag, group


def tag_of(key: str) -> str:
    """Return the hash tag of a key of ours, without braces."""
    return key[1:].partition("}")[0]


def _escape(text: str) -> str:
    """Return `text` as a glob of Redis that matches just it."""
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in text)
