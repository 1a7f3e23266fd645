"""Us behind a proxy that is believed, with all limits on clients, and with none."""
