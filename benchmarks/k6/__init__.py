"""`k6`: the headline with stock k6, which runs JavaScript for each delivery."""
