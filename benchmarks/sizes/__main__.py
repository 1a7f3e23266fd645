"""`python -m benchmarks.sizes`: what docs/deploy.md reckons with; about a minute."""

from __future__ import annotations

import asyncio

from benchmarks.machine import describe_machine
from benchmarks.sizes.nodes import measure_nodes
from benchmarks.sizes.proxies import measure_proxies

if __name__ == "__main__":
    print(describe_machine())
    measure_proxies()
    asyncio.run(measure_nodes())
