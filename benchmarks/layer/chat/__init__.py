"""The chat of docs/consumers.md, whose consumers are measured."""
