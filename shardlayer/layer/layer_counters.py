"""What a layer counts, for metrics. With the counters of publishers it makes `stats()`.

A new figure has its field here, its source in `Node.counters` or `Engine.counters`, and its row in
docs/operate.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class ShardCounters:
    """Figures of one shard in this process; since its start, where nothing else is said.

    Attributes:
        delivered: Messages written to members of its rooms.
        rooms: Its groups with members here, now.
        members: Their members, now.
        backlog_bytes: Bytes of its publications that arrived and are not written yet, now.
        unheard: Event loops that listen to it and can't hear it, now.
    """

    delivered: int = 0
    rooms: int = 0
    members: int = 0
    backlog_bytes: int = 0
    unheard: int = 0


@dataclass(slots=True, kw_only=True)
class LayerCounters:
    """Figures of one event loop; since its start, where nothing else is said.

    Attributes:
        delivered: Messages written to members of rooms.
        written_bytes: Bytes of the frames that were written to members of rooms.
        saved_bytes: Bytes by which these are fewer because broadcasts were compressed.
        backlog_bytes: Bytes of publications that arrived and are not written yet, now.
        unwanted: Publications that came for a room whose last member had just left.
        failed_members: Members that were removed because writing to them raised.
        broken_deliveries: Deliveries that an error ended in the middle.
        backlog_overflows: How often more than `max_backlog` publications waited here.
        dropped: Publications to rooms without history that were lost in such an overflow, or with
            a broken delivery.
        conflated: Publications to calm rooms that no member got, since a newer one replaced them.
        delayed: Publications to calm rooms that waited for the next write.
        gaps_found: Rooms that had missed something, as a position check found.
        resets: Rooms whose members were told that they may have missed something.
        missed_messages: Group messages that process-local channels missed because they were full.
        misdirected: What reached nobody, because the members are of the other kind.
        presence_connections: Connections to rooms that the shards are told of, now.
        presence_told: Comings and goings that the shards were told of.
        presence_compared: How often a shard had to be compared, since it may have lost some.
        presence_cleared: Nodes that this one found dead, and cleared from the rooms.
        presence_pushes: Pushes that told the members of a room who came and went.
        announced: Announcements that arrived.
        dropped_announcements: Announcements that were dropped, because too many waited.
        broken_batches: Batches that could not be read.
        broken_entries: Entries of batches that were left out, because they can't be what they say.
        undecodable_messages: Messages that could not be decrypted or decoded.
        rooms: Groups with members, now.
        members: Their members, now.
        failing_tasks: Tasks that failed and are not known to work again yet, now.
        unheard_servers: Servers that are listened to and can't be heard, now.
    """

    delivered: int = 0
    written_bytes: int = 0
    saved_bytes: int = 0
    backlog_bytes: int = 0
    unwanted: int = 0
    failed_members: int = 0
    broken_deliveries: int = 0
    backlog_overflows: int = 0
    dropped: int = 0
    conflated: int = 0
    delayed: int = 0
    gaps_found: int = 0
    resets: int = 0
    missed_messages: int = 0
    misdirected: int = 0
    presence_connections: int = 0
    presence_told: int = 0
    presence_compared: int = 0
    presence_cleared: int = 0
    presence_pushes: int = 0
    announced: int = 0
    dropped_announcements: int = 0
    broken_batches: int = 0
    broken_entries: int = 0
    undecodable_messages: int = 0
    rooms: int = 0
    members: int = 0
    failing_tasks: int = 0
    unheard_servers: int = 0
