"""What it costs to be seen: the figures of a worker on and off."""
