"""Where the shards are: what a broker must do, and the publisher that gathers what goes there.

`interface` is the contract, `memory` and `redis` fulfil it. Imports `core` and `aio`.
"""
