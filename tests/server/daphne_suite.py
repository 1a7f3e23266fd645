"""A pytest plugin: Daphne's own tests with this server in place of Daphne's.

Used by tests/server/test_daphne_suite.py. What differs on purpose is listed here and explained in
docs/server.md; a test that begins to pass fails the run, so the list stays true. What this server
offers beside Daphne is kept from the suite's application, which takes no more than Daphne gives.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any

import daphne.testing
import hypothesis
import pytest
from hypothesis import Phase, settings

from shardlayer.server.server_process import ServerProcess

Scope = MutableMapping[str, Any]

BELIEVED = "Daphne-Root-Path is believed with --proxy-headers only."

DIFFERENCES = {
    "TestHTTPRequest::test_root_path_header": BELIEVED,
    "TestWebsocket::test_root_path": BELIEVED,
}
"""The end of a test's id, and what is different here."""

# Each example starts a server. One that fails as it should need not be made smaller, for minutes.
settings.register_profile("daphne", phases=[Phase.explicit, Phase.generate])
settings.load_profile("daphne")

# Names of headers that say how a message is to be read. Daphne's tests mean names without a
# meaning, and send these themselves. Hypothesis may choose one, since the suite's source has them.
WITH_A_MEANING = frozenset({"host", "connection", "upgrade", "origin", "expect", "cookie"})
WITH_A_MEANING_BEGIN = ("content-", "transfer-", "sec-", "x-forwarded-", "daphne-")

STARTUP_TIMEOUT = 60  # seconds; Daphne's 2 are few on a busy machine
ANSWER_TIMEOUT = 60  # seconds; Daphne's 1, too
WAITING = ("run_daphne_http", "run_daphne_raw", "websocket_handshake", "receive_from_socket")


OFFERED_BESIDE = {  # in scopes
    "websocket": frozenset({"extensions", "http_version"}),
    "http": frozenset({"extensions"}),
}


class SuiteProcess(ServerProcess):
    """A server for an application that knows what Daphne gives it."""

    def __init__(self, *args: Any, get_application: Callable[[], Any], **options: Any) -> None:
        def get_as_daphnes() -> Any:
            return as_daphnes(get_application())

        super().__init__(*args, get_application=get_as_daphnes, **options)


def as_daphnes(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return the application without a lifespan, and without our part of a scope."""

    async def wrapped(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("This application has no lifespan.")
        beside = OFFERED_BESIDE[scope["type"]]
        scope = {key: value for key, value in scope.items() if key not in beside}
        await application(scope, receive, send)

    return wrapped


def wait_long_for_answers(function: Any) -> None:
    """Have a function of Daphne's tests wait for longer; raises KeyError if it has no timeout."""
    parameters = inspect.signature(function).parameters
    if parameters["timeout"].kind is inspect.Parameter.KEYWORD_ONLY:
        function.__kwdefaults__["timeout"] = ANSWER_TIMEOUT
        return
    defaults = {
        name: ANSWER_TIMEOUT if name == "timeout" else parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }
    function.__defaults__ = tuple(defaults.values())


def has_a_meaning(name: bytes) -> bool:
    """Tell whether a server reads a message differently for a header of this name."""
    text = name.decode().lower()
    return text in WITH_A_MEANING or text.startswith(WITH_A_MEANING_BEGIN)


def without_deadline(**options: Any) -> settings:
    """Return hypothesis' settings, as Daphne's tests ask for them, but for their seconds."""
    return settings(**options | {"deadline": None})


daphne.testing.DaphneProcess = SuiteProcess
daphne.testing.BaseDaphneTestingInstance.startup_timeout = STARTUP_TIMEOUT


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Give the modules of the tests, while they are imported, no deadlines to set, nor all names.

    What they make of strategies they make then.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("tests")
        strategies = importlib.import_module("http_strategies")
        any_name = strategies.header_name
        patch.setattr(
            strategies, "header_name", lambda: any_name().filter(lambda it: not has_a_meaning(it))
        )
        patch.setattr(hypothesis, "settings", without_deadline)
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect of each test that differs that it fails, and wait longer for answers."""
    case = importlib.import_module("http_base").DaphneTestCase
    for name in WAITING:
        wait_long_for_answers(getattr(case, name))
    for item in items:
        for name, reason in DIFFERENCES.items():
            if item.nodeid.endswith(name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
