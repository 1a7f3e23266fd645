"""A project whose users are named by their e-mail address and have a UUID as their key."""
