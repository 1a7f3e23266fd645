"""Text for a terminal."""

from __future__ import annotations

from realtime.management.tables import harmless, table


def test_columns_line_up() -> None:
    """The first column begins in one place, the others end in one."""
    assert list(table(("Room", "Members"), [("a", 1), ("lobby", 12_345_678)])) == [
        "Room    Members",
        "a             1",
        "lobby  12345678",
    ]


def test_control_characters_are_shown() -> None:
    """What would move a terminal's cursor stands there in words; the rest stays."""
    assert harmless('{"a":"é\x7f\x9b\n"}'.encode() + b"\xff") == '{"a":"é\\u007f\\u009b\\u000a"}�'
