"""Who may be tested."""

from __future__ import annotations

import pytest

from realtime.loadtest.load_target import BadTarget, read_target, require_ours

OTHER = "ws://192.0.2.1:8000/ws/"  # an address of documentation: nobody has it


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000/ws/", "ws://localhost/ws/", "ws://[::1]/"])
def test_loopback_needs_no_word(url: str) -> None:
    """It is this machine."""
    require_ours(read_target(url), None)


def test_other_machine_is_refused() -> None:
    """The error says what to say, with the host."""
    with pytest.raises(BadTarget, match=r"--yes-i-own-it 192\.0\.2\.1$"):
        require_ours(read_target(OTHER), None)


def test_other_machine_of_ours_is_not() -> None:
    """Who says exactly that host may."""
    require_ours(read_target(OTHER), "192.0.2.1")


@pytest.mark.parametrize("owned", ["192.0.2.2", "192.0.2", ""])
def test_word_is_for_that_host_alone(owned: str) -> None:
    """A command of yesterday does not test another machine today."""
    with pytest.raises(BadTarget, match="must be the same"):
        require_ours(read_target(OTHER), owned)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/ws/", "127.0.0.1:8000", "ws:///ws/", "ws://h:x/", "ws://h/?room=a"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    """Before anything is started."""
    with pytest.raises(BadTarget, match=r"address|query|found"):
        read_target(url)


def test_address_is_written_as_a_client_knows_it() -> None:
    """With the port only where it is not the usual one."""
    assert read_target("ws://127.0.0.1/ws/").url == "ws://127.0.0.1/ws/"
    assert read_target("wss://127.0.0.1:8443").http == "https://127.0.0.1:8443"
    assert read_target("ws://[::1]:80/").authority == "[::1]"
