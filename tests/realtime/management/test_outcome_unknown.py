"""Commands that Redis does not answer: nobody knows whether it was done, and they say so."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from demo.embedded import free_port
from tests.realtime.conftest import channel_layers


@pytest.mark.parametrize(
    "command",
    [
        ["publish", "general", "1"],
        ["announce", "1"],
        ["disconnect", "7", "--key"],
        ["disconnect", "--connection", "Zk3xw91abQ0p-_7c"],
        ["unsubscribe", "7", "general", "--key"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_command_says_that_nobody_knows(settings: Settings, command: list[str]) -> None:
    """Without a word of it, who sees a failure would do it again, or think that it is not done."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.2
    )
    with pytest.raises(CommandError) as failure:
        call_command("realtime", *command)
    assert str(failure.value).startswith("Shard ")
    assert str(failure.value).endswith(". It may or may not have been done.")
