"""One port for many workers: accepts connections and hands each to the least loaded worker.

No byte of a client is read or written here, except to those for whom there is no room: a
connection's descriptor goes to a worker over a Unix socket, and once the worker has acknowledged
it, the balancer holds nothing of it. docs/balancer.md says how to run it.

Pure: `choosing`, `capacity_split`, `peeking`, `worker_pool`, `balancer_status`. Shells on asyncio:
`worker_link`, `first_look`, `refusals`, `accept_loop`, `socket_file`, `status_server`, and
`balancer`, which joins them.
"""
