"""Channels' side of a node: where channels are received, and which are in which groups.

Imports `core`, `aio`, `broker` and `delivery`.
"""
