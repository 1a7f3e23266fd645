"""`history`: what it costs to keep every publication, beside those who keep nothing."""
