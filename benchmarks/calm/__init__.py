"""`calm`: what a calm room saves a worker."""
