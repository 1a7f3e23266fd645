"""The processes that a load test has, as the command sees them, and what they all report."""
