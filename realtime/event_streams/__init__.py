"""Rooms over Server-Sent Events: for browsers that a proxy keeps from opening a WebSocket."""
