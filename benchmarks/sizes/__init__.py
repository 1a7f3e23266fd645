"""What docs/deploy.md reckons with, measured: proxies, the kernel, and nodes on one Redis."""
