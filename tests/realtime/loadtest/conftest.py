"""One deployment for all load tests of this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.realtime.loadtest.load_site import LoadSite


@pytest.fixture(scope="session")
def load_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadSite]:
    """Two workers with a Redis of their own; whoever takes it is of the group `loadtest`."""
    with LoadSite(tmp_path_factory.mktemp("load-site")) as site:
        yield site
