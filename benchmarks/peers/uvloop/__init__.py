"""Us on uvloop's event loop."""
