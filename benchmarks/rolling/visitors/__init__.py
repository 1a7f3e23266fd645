"""The clients of `rolling`: they come back when their worker told them to, and note when."""
