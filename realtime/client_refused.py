"""How a project's own code says no to a client."""

from __future__ import annotations


class ClientRefused(Exception):
    """Raised by ON_CLIENT_PUBLISH, or by a command of the project's: the client may not.

    The client gets an error with the code `refused` and this message; nothing is logged. A lazy
    translation becomes text here, in the language that is active.
    """

    def __init__(self, message: object = "The server refused it.") -> None:
        super().__init__(message)
        self.message = str(message)  # else the answer that has it could not be written
