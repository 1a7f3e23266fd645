"""What each process tells all others of itself, and what they may ask of it.

`reporter.py` writes it down every few seconds, at the shards; `realtime/operations/` reads it on
whichever machine. `node_orders.py` has a worker end from afar.
"""
