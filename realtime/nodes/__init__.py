"""What each process tells all others of itself, and what they may ask of it.

`reporter.py` writes it to the shards every few seconds, and `realtime/operations/` reads it on any
machine. By `node_orders.py`, any machine tells a worker to drain or to close a connection.
"""
