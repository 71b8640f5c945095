"""What a check found: contracts kept, contracts declined; a broken one ends it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from slds_core.plugins import Declined, Plugin


@dataclass
class Outcome:
    """The contracts that a plugin keeps, and those that it declined, with its reasons."""

    plugin: Plugin
    kept: list[str] = field(default_factory=list)
    declined: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def contract(self, name: str) -> Iterator[None]:
        """Records what happens inside as one contract.

        Raises:
            AssertionError: names plugin and contract; whatever else is raised inside breaks the contract too.
        """
        try:
            yield
        except Declined as reason:
            self.declined[name] = str(reason)
        except AssertionError as broken:
            raise AssertionError(f"{self.plugin!r} breaks the contract '{name}': {broken}") from broken
        except Exception as error:
            raise AssertionError(
                f"{self.plugin!r} breaks the contract '{name}': expected an answer, found {type(error).__name__}: {error}"
            ) from error
        else:
            self.kept.append(name)


def require(condition: object, sentence: str) -> None:
    """Raises an ``AssertionError`` with the sentence where the condition does not hold: ``assert`` that no option removes."""
    if not condition:
        raise AssertionError(sentence)
