"""A module of rules that can't be imported."""

raise ValueError("a project's mistake")
