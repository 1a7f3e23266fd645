"""The processes that use a layer: they send, or they are the members that count what they get."""
