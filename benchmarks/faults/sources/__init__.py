"""Those who publish: each numbers its messages and sends each until it is acknowledged."""
