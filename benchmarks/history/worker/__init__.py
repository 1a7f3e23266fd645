"""The processes that publish and listen."""
