"""The floor: a C program whose delivery is one send(2)."""
