"""How long the admin's list of rooms takes, and for how long it holds up Redis."""
