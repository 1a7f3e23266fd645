"""Processes of a release and of the one before it on one Redis, as in a rolling restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from tests.mixed_versions.previous import ROOT, PeerProcess, unpack
from tests.waiting import wait_until

ROOM = "general"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

Pair = tuple[PeerProcess, PeerProcess]


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before this one."""
    return unpack(tmp_path_factory.mktemp("previous"))


@pytest.fixture(params=["old and new", "new and old"])
def pair(
    request: pytest.FixtureRequest, old_code: Path, redis_server: EmbeddedValkey, tmp_path: Path
) -> Iterator[Pair]:
    """Two processes, one of each release. The first one publishes, the second one listens."""
    codes = (old_code, ROOT) if request.param == "old and new" else (ROOT, old_code)
    with (
        PeerProcess(codes[0], redis_server.url, tmp_path / "first.log") as first,
        PeerProcess(codes[1], redis_server.url, tmp_path / "second.log") as second,
    ):
        for peer, code in zip((first, second), codes, strict=True):
            assert Path(peer("which")) == code / "shardlayer"
        yield first, second


def data(pushes: list[dict[str, object]]) -> list[object]:
    """Return what pushes carry."""
    return [push["data"] for push in pushes]


def test_publications_arrive(pair: Pair) -> None:
    """What one publishes, a member at the other hears, in order and with its offsets."""
    publisher, listener = pair
    listener("join", room=ROOM)
    positions = [publisher("publish", room=ROOM, data=number) for number in range(20)]
    heard = listener("hear", room=ROOM, count=20)
    assert data(heard) == list(range(20))
    assert [push["offset"] for push in heard] == [offset for offset, _ in positions]
    assert publisher("stats")["failed"] == 0


def test_both_have_members(pair: Pair) -> None:
    """Each publishes to a room with members at both, and both hear both in one order."""
    for peer in pair:
        peer("join", room=ROOM)
    for number in range(20):
        pair[number % 2]("publish", room=ROOM, data=number)
    first, second = (peer("hear", room=ROOM, count=20) for peer in pair)
    assert data(first) == list(range(20))
    assert first == second


def test_clients_move(pair: Pair) -> None:
    """Who was at one gets from the other what it missed: nothing is lost, nothing comes twice."""
    before, after = pair
    before("join", room=ROOM)
    position = before("publish", room=ROOM, data="seen")
    assert data(before("hear", room=ROOM, count=1)) == ["seen"]
    before("leave", room=ROOM)
    for number in range(5):
        pair[number % 2]("publish", room=ROOM, data=number)
    joined = after("join", room=ROOM, offset=position[0], epoch=position[1])
    assert joined["recovered"] is True
    assert joined["missed"] == list(range(5))
    before("publish", room=ROOM, data="now")
    assert data(after("hear", room=ROOM, count=1)) == ["now"]


def test_what_is_sent_again_is_recognised(pair: Pair) -> None:
    """A publication that one sent and the other repeats under its key happens once."""
    first, second = pair
    second("join", room=ROOM)
    position = first("publish", room=ROOM, data=1, key="once")
    assert second("publish", room=ROOM, data=1, key="once") == position
    first("publish", room=ROOM, data=2)
    assert data(second("hear", room=ROOM, count=2)) == [1, 2]


def test_groups_and_channels(pair: Pair) -> None:
    """Channels of one are members of groups that the other fills and sends to."""
    sender, receiver = pair
    channel = receiver("channel")
    receiver("add", group="g", channel=channel)
    sender("group_send", group="g", message={"type": "a", "n": 1})
    assert receiver("receive", channel=channel) == {"type": "a", "n": 1}
    sender("send", channel=channel, message={"type": "a", "n": 2})
    assert receiver("receive", channel=channel) == {"type": "a", "n": 2}
    other = receiver("channel")
    sender("add", group="h", channel=other)
    sender("group_send", group="h", message={"type": "a", "n": 3})
    assert receiver("receive", channel=other) == {"type": "a", "n": 3}


def test_announcements(pair: Pair) -> None:
    """Everybody hears them, at both."""
    for peer in pair:
        peer("attend", name="somebody")

    def all_have_heard() -> bool:
        pair[0]("announce", data={"text": "soon"})  # again: a node that has just begun misses it
        return all(peer("has_heard", name="somebody") for peer in pair)

    wait_until(all_have_heard)
    first, second = (peer("hear", room="somebody", count=1) for peer in pair)
    assert first == second


def test_people_are_no_news_to_the_release_before(pair: Pair) -> None:
    """It knows nothing of presence: it is told nothing that would hold it up."""
    new = next(peer for peer in pair if Path(peer("which")).parent == ROOT)
    for peer in pair:
        peer("join", room=ROOM)
    assert new("come", room=ROOM, person="ada") == ["ada"]
    for peer in pair:
        peer("publish", room=ROOM, data=1)
    for peer in pair:
        heard = peer("hear", room=ROOM, count=3 if peer is new else 2)
        assert data([push for push in heard if "presence" not in push]) == [1, 1]
        assert peer("stats")["broken_batches"] == 0
        assert peer.errors == ""


def test_one_closes(pair: Pair) -> None:
    """One leaves the registries, and the other goes on with all that there was."""
    leaves, stays = pair
    for peer in pair:
        peer("join", room=ROOM)
    leaves("publish", room=ROOM, data=1)
    leaves("close")
    stays("publish", room=ROOM, data=2)
    assert data(stays("hear", room=ROOM, count=2)) == [1, 2]
