"""`regression`: does it still cost what it did? Beside what can't become slower, in one run."""
