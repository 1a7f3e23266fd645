"""Where the shards are: what a broker must do, and the publisher that gathers what goes there.

`interface` is the contract, by role; `memory` and `redis` fulfil it, `opening` opens one of them.
Imports `core` and `aio`.
"""
