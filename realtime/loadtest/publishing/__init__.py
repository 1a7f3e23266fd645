"""What publishes in a load test: a process of its own, which keeps pace, and the ways it takes."""
