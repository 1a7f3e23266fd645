"""Close codes of WebSockets that more than one part of the product sends."""

from __future__ import annotations

from typing import Final

CLOSE_SLOW: Final = 4008  # did not read fast enough: come back, and resume by offset
