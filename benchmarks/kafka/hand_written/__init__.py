"""What one writes first: no history, no exactly-once, no permissions; two short programs."""
