"""The clients of `faults`: they come back and resume as client.js does, and keep account."""
