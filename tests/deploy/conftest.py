"""Nodes that stand behind the proxies under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.embedded import EmbeddedValkey
from tests.deploy.nodes import ONE, TWO, ProxiedNode, running_nodes


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ProxiedNode]]:
    """Two nodes that no test stops, on a server of their own: other tests count what is there."""
    directory = tmp_path_factory.mktemp("nodes")
    with (
        EmbeddedValkey(directory=directory) as valkey,
        running_nodes(directory, valkey.url, (ONE, TWO)) as running,
    ):
        yield running
