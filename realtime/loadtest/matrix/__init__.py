"""Deployments of loopback alone, which a load test makes for itself and throws away."""
