"""How the JavaScript client signs in again, and comes back with a note."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.recorder import RecordingClient, wait_in
from tests.browser.scripted import ScriptedServer, subscribed


def answering(resumed: bool | None) -> Callable[[ScriptedServer, dict[str, Any]], None]:
    """Return a server that takes any token, and notes as it is told."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" in command:
            server.say(id=command["id"], subscribed=[subscribed(5)])
        elif "connect" in command:
            connected: dict[str, Any] = {"node": "n", "user": "ada", "room": None}
            if "note" in command["connect"] and resumed is not None:
                connected["resumed"] = resumed
            server.say(id=command["id"], connected=connected)

    return answer


def with_note(tab: Page, server: ScriptedServer, token: str = "undefined") -> RecordingClient:
    """Return a client that has its first note; `token` is a script."""
    server.note = {"note": "n1", "renew": 1}
    client = RecordingClient(tab, "r")
    client.run(
        """([token]) => {
          client.close();
          const events = told.events;
          return import("/static/realtime/client.js").then(({ RealtimeClient }) => {
            globalThis.tokens = 0;
            globalThis.client = new RealtimeClient("/ws/", { random: () => 0, token: eval(token) });
            globalThis.client.addEventListener("error", ({ detail }) =>
              events.push({ type: "error", ...detail, message: detail.message }));
            globalThis.client.subscribe("r", () => {});
            globalThis.client.connect();
          });
        }""",
        [token],
    )
    tab.wait_for_function("client.status.state === 'live'")
    wait_in(tab, lambda: server.notes, "the client asked for no note")
    server.commands.clear()
    return client


def back_again(tab: Page, server: ScriptedServer, code: int) -> list[dict[str, Any]]:
    """Close the connection; return what the client sends until it is back."""
    server.close(code)
    tab.wait_for_function("client.status.state !== 'live'")
    tab.wait_for_function("client.status.state === 'live'")
    return [
        {name: body for name, body in command.items() if name != "id"}
        for command in server.commands
    ]


FETCHED = "(async () => `t${++globalThis.tokens}`)"
JOIN = {"subscribe": [{"room": "r", "offset": 5, "epoch": "e"}]}


@pytest.mark.parametrize("token", ["undefined", "'t'", FETCHED])
def test_comes_back_with_its_note(tab: Page, token: str) -> None:
    """Whichever way it signed in: the note is brought, and no token is asked for."""
    server = ScriptedServer(tab, answering(resumed=True))
    with_note(tab, server, token)
    assert back_again(tab, server, 1012) == [{"connect": {"note": "n1"}}, JOIN]


@pytest.mark.parametrize("resumed", [False, None])
def test_signs_in_when_the_note_does_not_count(tab: Page, resumed: bool | None) -> None:
    """A server that refuses the note, or knows of none, gets the token."""
    server = ScriptedServer(tab, answering(resumed))
    with_note(tab, server, FETCHED)
    sent = back_again(tab, server, 1012)
    assert sent == [{"connect": {"note": "n1"}}, {"connect": {"token": "t2"}}, JOIN]


@pytest.mark.parametrize("code", [4001, 4002])
def test_forgets_its_note_when_it_is_signed_out(tab: Page, code: int) -> None:
    """Who was signed out, or has expired, comes back and signs in again."""
    server = ScriptedServer(tab, answering(resumed=True))
    with_note(tab, server, FETCHED)
    assert back_again(tab, server, code) == [{"connect": {"token": "t2"}}, JOIN]


def test_renews_what_has_expired(tab: Page) -> None:
    """A function is asked for another token, on the same connection."""
    server = ScriptedServer(tab, answering(resumed=True))
    with_note(tab, server, FETCHED)
    server.say(renew={"within": 30})
    tab.wait_for_function("globalThis.tokens === 2")
    client_is_live = "client.status.state === 'live'"
    tab.wait_for_function(client_is_live)
    assert [command.get("connect") for command in server.commands] == [{"token": "t2"}]
    assert server.connections == 2  # of the page's two clients, one each


def test_says_that_it_has_expired(tab: Page) -> None:
    """Without a token there is nothing that it could renew: the page is told."""
    server = ScriptedServer(tab, answering(resumed=True))
    client = with_note(tab, server)
    server.say(renew={"within": 30})
    tab.wait_for_function("told.events.some(({ type }) => type === 'error')")
    assert [event["code"] for event in client.events("error")] == ["expired"]


def test_room_that_it_was_put_out_of_is_over(tab: Page) -> None:
    """The subscription ends with an error, and is not asked for again."""
    server = ScriptedServer(tab, answering(resumed=True))
    client = with_note(tab, server)
    server.say(room="r", unsubscribed={"code": "forbidden"})
    tab.wait_for_function("told.events.some(({ type }) => type === 'error')")
    (error,) = client.events("error")
    assert (error["code"], error["room"]) == ("forbidden", "r")
    server.close(1012)
    tab.wait_for_function("client.status.state !== 'live'")
    tab.wait_for_function("client.status.state === 'live'")
    assert [command.get("subscribe") for command in server.commands] == [None]


def test_pushes_that_it_does_not_know_are_left_out(tab: Page) -> None:
    """No handler is called for a push of another kind."""
    server = ScriptedServer(tab, answering(resumed=True))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.say(room="r", novelty={"x": 1})
    server.say(novelty={"x": 1})
    server.say(room="r", offset=6, data=6)
    client.wait("live", 1)
    assert client.data == [6]
