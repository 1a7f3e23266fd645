"""What strangers send: bad handshakes, frames and requests against a worker that serves others."""
