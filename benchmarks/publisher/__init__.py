"""The publisher: one process that publishes what the clients count."""
