"""Chains in C++, called by JAX through its foreign function interface: built at installation where there is a compiler."""

from slds_core.chains.native.library import available as available
from slds_core.chains.native.library import call as call
from slds_core.chains.native.library import why_not as why_not
