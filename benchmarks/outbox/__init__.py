"""`outbox`: how long it takes from a commit until a browser has its publication."""
