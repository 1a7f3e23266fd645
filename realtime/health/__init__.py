"""Whether this process lives, and whether it can do its work."""
