"""One client's connection: the way in, its session, its limits, and the protocol that it speaks."""
