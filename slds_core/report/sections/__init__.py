"""The report's sections: built-in ones, one a file, and those of other packages."""

from slds_core.report.page import Section
from slds_core.study import registry
from slds_core.study.errors import StudyError


def installed() -> dict[str, Section | str]:
    """Returns the sections of all installed packages in their order; of one that cannot be imported, the error.

    Raises:
        StudyError: there are none, or two have the same name.
    """
    found: dict[str, Section | str] = {}
    for name, point in registry.available("sections").items():
        try:
            loaded = point.load()
        except Exception as error:  # a stranger's module may fail in any way
            found[name] = f"{point.value} cannot be imported: {type(error).__name__}: {error}"
            continue
        found[name] = loaded if isinstance(loaded, Section) else f"{point.value} is not a Section"
    if not found:
        raise StudyError(
            "no section of the report is installed; install slds-core again, 'pip install --editable .' in a checkout"
        )
    return dict(sorted(found.items(), key=lambda item: item[1].order if isinstance(item[1], Section) else 1000))
