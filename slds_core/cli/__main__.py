"""``python -m slds_core.cli``, what the workflow's jobs call: this environment's ``slds``, activated or not."""

from slds_core.cli import main

main()
