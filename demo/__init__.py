"""The demo: its page, its feed, the embedded servers and what `bin/dev` runs.

It uses `realtime` and `shardlayer`, and is not part of the wheel. Nothing that is shipped imports
it.
"""
