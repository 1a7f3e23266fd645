"""The client protocol, without I/O: `parsing` takes frames to commands, `replies` answers them.

A client sends one command a frame, `{"id":1,"subscribe":{"room":"general"}}`; the server answers
with the same id. docs/protocol.md is the reference.
"""
