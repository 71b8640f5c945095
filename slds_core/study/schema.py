"""What a study's configuration may say."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = str
Section = Literal["models", "inference", "gradients"]
Rule = Literal["all", "build_model", "fit", "infer", "residual", "gradient", "compare", "report"]


class Setting(BaseModel):
    """One named setting: a plugin and its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    plugin: str = Field(description="name of the plugin; 'folder/own.py:name' for one in a file")

    @property
    def parameters(self) -> dict[str, Any]:
        """The plugin's own parameters."""
        return dict(self.model_extra or {})


class GradientSetting(Setting):
    """A gradient estimator, and the inference setting at whose result it differentiates."""

    at: str | list[str] | None = Field(
        None, description="inference setting at whose result an implicit estimator differentiates; a list makes several"
    )


class Resources(BaseModel):
    """What a rule's jobs ask of a scheduler, by Snakemake's own names; what is not said is left to the workflow."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    threads: int | None = Field(None, gt=0, description="processor cores")
    mem_mb: int | None = Field(None, gt=0, description="memory (MB); a job that is tried again asks for more")
    runtime: int | None = Field(None, gt=0, description="longest run time (minutes)")
    gpu: int | None = Field(None, gt=0, description="GPUs")
    slurm_partition: str | None = Field(None, description="SLURM's partition")
    slurm_account: str | None = Field(None, description="the account that SLURM charges")
    slurm_extra: str | None = Field(None, description="further options of sbatch, such as '--qos=low'")


class Configuration(BaseModel):
    """A study, as ``config.yaml`` states it. Reading it expands its lists, fills in its defaults and finds its plugins."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = Field("Fixed points and gradients", description="heading of the report")
    precision: Literal["float32", "float64"] = Field("float64", description="floating-point type of all arrays")
    plugins: list[str] = Field(default_factory=list, description="files and folders of plugins that are not installed")
    defaults: dict[Section, dict[str, Any]] = Field(
        default_factory=dict,
        description="parameters for all of a section's settings that take them and do not give them",
    )
    models: dict[Name, Setting] = Field(min_length=1, description="structured models, each audited by itself")
    inference: dict[Name, Setting] = Field(min_length=1, description="ways to the fixed point")
    objective: Setting = Field(description="what is differentiated")
    gradients: dict[Name, GradientSetting] = Field(default_factory=dict, description="ways of differentiating it")
    references: list[Name] = Field(
        default_factory=list, description="gradients to compare all others with; the first is the verdicts' witness"
    )
    resources: dict[Rule, Resources] = Field(
        default_factory=dict,
        description="what a rule's jobs ask of a scheduler; 'all' speaks for rules that do not say",
    )

    def needs(self, rule: Rule) -> dict[str, int | str]:
        """Returns what a rule's jobs ask for: what 'all' says, and over that what the rule says itself."""
        stated = [
            self.resources[name].model_dump(exclude_none=True) for name in ("all", rule) if name in self.resources
        ]
        return {key: value for needs in stated for key, value in needs.items()}
