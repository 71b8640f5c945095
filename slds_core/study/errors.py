"""Errors that a user can act on."""


class StudyError(Exception):
    """The configuration or a file is not as it must be; the message says what, where, and what to do."""


class ParameterErrors(StudyError):
    """All that is wrong with a plugin's parameters, each a sentence that begins with its key."""

    def __init__(self, sentences: list[str]) -> None:
        """Keeps the sentences apart, for whoever tells each with a line of its own."""
        super().__init__("; ".join(sentences))
        self.sentences = sentences
