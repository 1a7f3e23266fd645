"""`presence`: what it costs to know who is in a room, and what a dead node leaves."""
