"""The one error of `bin/dev`."""


class DevServerError(Exception):
    """Something that a person can mend; the message is what they are told."""
