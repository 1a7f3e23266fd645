"""Rooms by name: which names there may be, which rooms there are, and what they still hold."""
