"""Why a load test can't go on."""

from __future__ import annotations


class LoadFailed(Exception):
    """The load test itself failed, which says nothing of the deployment; the text says how."""
