"""What the limits on clients have cost them, in this process and since it started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ClientCounters:
    """Counts of one process.

    Attributes:
        slow_closed: Clients closed with 4008 because too many bytes waited for them, or because a
            message was too large for the server. Of `shardlayer-daphne` see its own counters.
        refused_writes: Connections that ended because the server refused to send a message.
        rate_closed: Clients closed with 4010 because they sent too many commands.
        unused_closed: Clients closed with 4011 because they subscribed to nothing in time.
        users_closed: Clients closed with 4012 because their user had as many as may be.
        publishes_refused: Publications refused with `rate`.
        users_publishes_refused: Those of them whose user, or address, had published too many.
        messages_refused: Messages refused with `too_large`.
        frames_refused: Messages refused with `limit` because they named too many rooms.
        rooms_refused: Rooms refused with `rate`, since the client had taken on too many new ones.
        users_rooms_refused: Those of them whose user, or address, had brought too many here.
        rooms_over_limit: Rooms refused with `limit`, since the client had as many as it may have.
        rooms_full: Rooms refused with `full`, since they had as many members as may be.
        nodes_full: Rooms refused with `full`, since the process had as many as may be.
        users_rooms_full: Rooms refused with `full`, since as many were here for their user, or
            address, as may be.
        recovered: Rooms that clients came back to with a position, and nothing was missing.
        not_recovered: Those where something was.
        pages: Pages that were read for clients which had missed more than an answer holds.
        too_large: Publications that were left out because the server can't send them.
        answers_cut: Answers to `history` that could not hold what was asked for.
        histories_limited: Requests for `history` of more than MAX_CLIENT_HISTORY publications.
        turns_waited: Joins and readings of histories that had to wait for those of other clients.
        origins_refused: Handshakes refused with 403, since they came from another site's page.
        admin_pages_refused: Pages of the admin that do not refresh themselves: as many do as may.
        forbidden: Commands and rooms that were refused because the client may not.
        rules_asked: Times that a rule's function, or a permission, was asked.
        rules_recalled: Times that it was not, since its last answer still counted.
        presence_failed: Times that a client was not seen in a room, since an error kept it so.
        presence_infos_failed: Clients seen without info: PRESENCE_INFO failed, or said too much.
        presence_fetches_failed: Answers without names and the like, since PRESENCE_FETCH failed.
        presence_cut: Answers to `presence` that could not hold as many people as were asked for.
        room_signals: Signals `room_occupied` and `room_vacated` that were sent.
        room_signals_dropped: Those that were not, since the receivers were too slow.
        client_signals: Signals of clients that came, went, joined and left that were sent.
        client_signals_dropped: Those that were not, since the receivers were too slow.
        publications_changed: Publications of clients that ON_CLIENT_PUBLISH changed.
        publications_refused: Publications of clients that it refused, or that it failed on.
        signed_out: Clients closed with 4002 because their user or session was signed out.
        sign_outs_untold: Sign-outs by Django's signals that the workers were not told of.
        put_out: Clients that were put out of a room, once for each.
        renewals_asked: Clients asked to sign in again because their token had expired.
        expired_closed: Clients closed with 4001 because they did not.
        notes_taken: Clients that came back with a note, and were asked nothing.
        notes_refused: Notes that did not count: too old, not ours, taken back.
        streams: Streams of events that were begun.
        streams_open: Those that are open now.
        streams_full: Streams that were not, as the process or their address had as many as may be,
            or the process was full.
        streams_resumed: Those that began where another ended.
    """

    slow_closed: int = 0
    refused_writes: int = 0
    rate_closed: int = 0
    unused_closed: int = 0
    users_closed: int = 0
    publishes_refused: int = 0
    users_publishes_refused: int = 0
    messages_refused: int = 0
    frames_refused: int = 0
    rooms_refused: int = 0
    users_rooms_refused: int = 0
    rooms_over_limit: int = 0
    rooms_full: int = 0
    nodes_full: int = 0
    users_rooms_full: int = 0
    recovered: int = 0
    not_recovered: int = 0
    pages: int = 0
    too_large: int = 0
    answers_cut: int = 0
    histories_limited: int = 0
    turns_waited: int = 0
    origins_refused: int = 0
    admin_pages_refused: int = 0
    forbidden: int = 0
    rules_asked: int = 0
    rules_recalled: int = 0
    presence_failed: int = 0
    presence_infos_failed: int = 0
    presence_fetches_failed: int = 0
    presence_cut: int = 0
    room_signals: int = 0
    room_signals_dropped: int = 0
    client_signals: int = 0
    client_signals_dropped: int = 0
    publications_changed: int = 0
    publications_refused: int = 0
    signed_out: int = 0
    sign_outs_untold: int = 0
    put_out: int = 0
    renewals_asked: int = 0
    expired_closed: int = 0
    notes_taken: int = 0
    notes_refused: int = 0
    streams: int = 0
    streams_open: int = 0
    streams_full: int = 0
    streams_resumed: int = 0


counters = ClientCounters()
