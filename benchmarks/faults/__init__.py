"""`faults`: the whole system while one part after another is killed, stopped or cut off."""
