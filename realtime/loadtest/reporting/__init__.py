"""What a load test found: shown while it runs, then as text, JSON and a page of HTML."""
