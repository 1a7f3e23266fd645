"""What ROOMS says, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.rooms.room_settings import (
    ALL_ROOMS,
    RoomSettings,
    hides,
    histories,
    read_rooms,
    room_problems,
)


def test_rules_left_out_are_the_safe_ones() -> None:
    """Who is signed in subscribes; nobody publishes, and nobody sees who is there."""
    [room] = read_rooms(ALL_ROOMS)
    assert room == RoomSettings(
        glob="*", subscribe="signed_in", publish="nobody", presence="nobody"
    )


def test_histories_go_to_the_layer_in_order() -> None:
    """A rule without a history comes in as the layer's default; so does what no glob matches."""
    day = {"size": 1000, "ttl": 86_400}
    rooms = read_rooms({"chat.vip": {}, "chat.*": {"history": day}, "cursor.*": {"history": None}})
    assert list((histories(rooms) or {}).items()) == [
        ("chat.vip", {}),
        ("chat.*", day),
        ("cursor.*", None),
        ("*", {}),
    ]
    assert histories(read_rooms({"*": {"history": None}})) == {"*": None}
    assert histories(read_rooms({"chat.*": {}})) is None


@pytest.mark.parametrize(
    ("earlier", "later", "is_hidden"),
    [
        ("*", "chat.*", True),
        ("chat.*", "chat.vip.*", True),
        ("chat.*", "chat.v?p", True),
        ("chat.*", "chat.[ab]", True),
        ("a*b", "a?b", True),
        ("chat.vip", "chat.*", False),
        ("chat.?", "chat.*", False),
        ("[*]", "*", False),
        ("chat.*", "news.*", False),
    ],
)
def test_globs_that_hide_others(earlier: str, later: str, is_hidden: bool) -> None:
    """A glob behind one that matches all of its rooms never counts."""
    assert hides(earlier, later) is is_hidden


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"subscribe": "anyone", "publish": "signed_in", "presence": "staff"},
        {"subscribe": "permission:shop.view_order", "publish": "nobody"},
        {"subscribe": "shop.rooms.is_owner", "history": None},
        {"history": {"size": 0}},
        {"history": {"size": 10, "ttl": 90 * 86_400.0}},
        {"history": {}},
    ],
)
def test_right_rules(rules: dict[str, Any]) -> None:
    """What may be written, may be written."""
    assert list(room_problems({"chat.*": rules, "*": {}})) == []


@pytest.mark.parametrize(
    ("rooms", "words"),
    [
        ([], "must be a dictionary"),
        ({5: {}}, "has the key 5"),
        ({"": {}}, "has the key ''"),
        ({"*": {}, "chat.*": {}}, "['chat.*'] never counts: '*' comes before it"),
        ({"*": "anyone"}, "['*'] must be a dictionary of rules"),
        ({"*": {"read": "anyone"}}, "['*'] has the key 'read'; the keys are history, latest"),
        ({"*": {"subscribe": "signedin"}}, "['*']['subscribe'] is 'signedin'; did you mean"),
        ({"*": {"subscribe": "AUTHORIZE"}}, "['*']['subscribe'] must be"),
        ({"*": {"subscribe": None}}, "['*']['subscribe'] must be"),
        ({"*": {"subscribe": True}}, "['*']['subscribe'] must be"),
        ({"*": {"subscribe": print}}, "['*']['subscribe'] must be"),
        ({"*": {"subscribe": ["staff"]}}, "['*']['subscribe'] must be"),
        ({"*": {"subscribe": ""}}, "['*']['subscribe'] must be"),
        ({"*": {"publish": "shop..rooms"}}, "['*']['publish'] must be"),
        ({"*": {"publish": "permission:order"}}, "['*']['publish'] must name a permission"),
        ({"*": {"publish": "permission:.x"}}, "['*']['publish'] must name a permission"),
        ({"*": {"history": 5}}, "['*'] is wrong: history is 5"),
        ({"*": {"history": {"size": -1}}}, "['*'] is wrong: history['size'] is -1"),
        ({"*": {"history": {"length": 5}}}, "['*'] is wrong: history is {'length': 5}"),
    ],
)
def test_wrong_rules_are_named(rooms: Any, words: str) -> None:
    """Each mistake is one sentence that says where it is."""
    [problem] = room_problems(rooms)
    assert words in problem
