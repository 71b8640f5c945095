"""Errors that a user can act on."""


class StudyError(Exception):
    """The configuration or a file is not as it must be; the message says what, where, and what to do."""
