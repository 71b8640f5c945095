"""Errors that a user can act on."""


class StudyError(Exception):
    """Something in the configuration or the files is not as it must be; the message says what, where, and what to do."""
