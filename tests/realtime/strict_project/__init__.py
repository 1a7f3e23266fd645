"""A project whose settings are as strict for its own pages as Django lets them be."""
