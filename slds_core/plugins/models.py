"""Built-in models."""

from slds_core.plugins.base import BuiltModel, ModelPlugin


class Notebook(ModelPlugin):
    """The seed notebook's model (T=100, D=5, K=4), regenerated from its recipe. It has no parameters."""

    def build(self) -> BuiltModel:
        from slds_core.models.notebook import notebook_model

        return BuiltModel(self.problem(), *notebook_model())

    def problem(self):
        from slds_core.models.slds import SLDS

        return SLDS()
