"""Sends the cases: a process of its own."""
