"""Which models of a study are learnt, and which are checkpoints of one training."""

from slds_core.plugins import LearntModel
from slds_core.study import registry
from slds_core.study.schema import Configuration


def learnt_models(study: Configuration) -> list[str]:
    """Returns the names of the models that are learnt, and not only built.

    Args:
        study: a checked configuration.
    """
    return [
        name
        for name, setting in study.models.items()
        if issubclass(registry.plugin_class("models", setting.plugin), LearntModel)
    ]


def checkpoint_before(study: Configuration, model: str) -> str | None:
    """Returns the name of the checkpoint that a learnt model's training passes last before its own; ``None`` if there is none.

    Args:
        study: a checked configuration.
        model: its name.
    """
    plugins = {
        name: registry.make("models", study.models[name].plugin, study.models[name].parameters)
        for name in learnt_models(study)
    }
    own = plugins[model]
    same = {
        name: other.epochs
        for name, other in plugins.items()
        if type(other) is type(own) and other.model_copy(update={"epochs": own.epochs}) == own
    }
    earlier = {name: epochs for name, epochs in same.items() if epochs < own.epochs}
    return max(earlier, key=lambda name: earlier[name], default=None)
