"""What a load test does: one scenario a file, by name in `registry.py`."""
