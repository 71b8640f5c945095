"""Plugins: what a configuration can name. Importing them imports no JAX; each loads its mathematics when it is used."""

from slds_core.plugins.base import BuiltModel as BuiltModel
from slds_core.plugins.base import DataPlugin as DataPlugin
from slds_core.plugins.base import Declined as Declined
from slds_core.plugins.base import GradientPlugin as GradientPlugin
from slds_core.plugins.base import InferencePlugin as InferencePlugin
from slds_core.plugins.base import LearntModel as LearntModel
from slds_core.plugins.base import ModelPlugin as ModelPlugin
from slds_core.plugins.base import ObjectivePlugin as ObjectivePlugin
from slds_core.plugins.base import Plugin as Plugin
