"""The shards in this process: for tests, and for an application that runs in one process."""
