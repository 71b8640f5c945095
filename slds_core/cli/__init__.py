"""The command ``slds``: studies, single stages, plugins and files.

Heavy packages are imported inside the commands, so that ``slds --help`` answers at once.
"""

# ruff: isort: off
# each of these adds its commands to the application, in the order of the help
from slds_core.cli import studies as studies
from slds_core.cli import plugins as plugins
from slds_core.cli import files as files
from slds_core.cli import stages as stages
from slds_core.cli.application import app as app
from slds_core.cli.application import execute as execute
from slds_core.cli.application import main as main
