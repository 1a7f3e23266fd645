"""The recipes of docs/recipes.md, run as they stand there."""
