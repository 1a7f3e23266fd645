"""The three steps of docs/consumers.md work as they are written there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from channels.layers import get_channel_layer
from pytest_django import Settings

from tests.shardlayer.consumers.client import Server
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

DOCUMENT = (Path(__file__).parents[3] / "docs" / "consumers.md").read_text()


def side(diff: str, sign: str) -> str:
    """Return the old (-) or new (+) side of a diff."""
    return "\n".join(line[1:] for line in diff.splitlines() if line[:1] in (sign, " "))


def steps() -> list[str]:
    """Return the code of each step, whole."""
    (first,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    diffs = re.findall(r"```diff\n(.*?)```", DOCUMENT, re.DOTALL)
    found = [first.strip()]
    for diff in diffs:
        assert side(diff, "-").strip() == found[-1], "a diff begins where the last one ends"
        found.append(side(diff, "+").strip())
    return found


@pytest.mark.parametrize("step", [1, 2, 3])
async def test_step_works(step: int, settings: Settings) -> None:
    """What one client says reaches the group's members."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "shardlayer.layer.ShardedChannelLayer",
            "CONFIG": {"hosts": [f"memory://{uuid4().hex}"]},
        }
    }
    names: dict[str, Any] = {}
    exec(steps()[step - 1], names)
    server, sink = Server(), RecordingSink()
    running = server.run(names["ChatConsumer"].as_asgi(), extensions={"shardlayer": {"sink": sink}})
    layer: Any = get_channel_layer()
    node = await layer.node()
    await until(lambda: server.sent and node.members("chat.lobby"))
    server.put('{"text":"hello"}')
    if step < 3:
        await until(lambda: len(server.sent) == 2)
        assert orjson.loads(server.sent[1]["text"]) == {"text": "hello"}
    else:
        await until(lambda: sink.texts)
        push = {"room": "chat.lobby", "offset": 1, "data": {"text": "hello"}}
        assert orjson.loads(sink.texts[0]) == push
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await running
    assert node.members("chat.lobby") == 0
    await layer.close()
