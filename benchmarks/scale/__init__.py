"""`scale`: what a delivery costs with more nodes and more Redis, and a node with many rooms."""
