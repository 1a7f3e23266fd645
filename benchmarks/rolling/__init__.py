"""`python -m benchmarks rolling`: workers restarted one after the other, and a storm of clients."""
