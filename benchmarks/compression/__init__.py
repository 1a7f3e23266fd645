"""`compression`: what it costs a worker to compress a room's messages, and what that saves."""
