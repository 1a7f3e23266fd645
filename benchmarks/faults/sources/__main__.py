"""A source's process: `python -m benchmarks.faults.sources JSON`, told what to do."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.conversation import obey
from benchmarks.faults.sources.base import LAYER, Source
from benchmarks.faults.sources.flow import Flow
from benchmarks.faults.sources.kafka import KafkaSource
from benchmarks.faults.sources.layer import LayerSource


async def _run(name: str, arguments: dict[str, Any], flow: dict[str, Any]) -> None:
    source: Source = LayerSource(**arguments) if name == LAYER else KafkaSource(**arguments)
    await source.open()
    try:
        messages = Flow(name, source, **flow)
        await obey({"begin": messages.begin, "end": messages.end})
    finally:
        await source.close()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    asyncio.run(_run(asked["name"], asked["arguments"], asked["flow"]))
