"""Built-in sources of data that read no file of the user's."""

import difflib
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from slds_core.plugins.base import DataPlugin

_STEPS: JsonDict = {"unit": "step"}
_STANDARDISE = "whether to give each channel mean zero and variance one; outputs are in original units again"
MACRODATA = (
    "realgdp",
    "realcons",
    "realinv",
    "realgovt",
    "realdpi",
    "cpi",
    "m1",
    "pop",
    "tbilrate",
    "unemp",
    "infl",
    "realint",
)
"""The series that ``macrodata`` has. They are named here too, as ``slds_core.data`` takes a while to import; a test compares."""


def _of_macrodata(name: str) -> str:
    """Returns the name of a series, so that one that is misspelt is told before anything runs."""
    if name in MACRODATA:
        return name
    near = difflib.get_close_matches(name, MACRODATA, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(MACRODATA)}"
    raise PydanticCustomError("no_series", "no series of that name ({hint})", {"hint": hint})


class Macrodata(DataPlugin):
    """US quarterly macroeconomic series (1959 to 2009, from statsmodels): growth of levels, changes of rates.

    Real levels, prices and money: percent a year. Rates: percentage points a quarter. NBER's recessions are beside them.
    """

    columns: list[Annotated[str, AfterValidator(_of_macrodata)]] = Field(
        ["realgdp", "realcons", "realinv", "realdpi", "unemp", "cpi", "tbilrate"],
        min_length=1,
        description="series to use, by their names in statsmodels",
    )
    standardise: bool = Field(True, description=_STANDARDISE)

    def load(self):
        from slds_core.data.macrodata import macrodata

        return macrodata(self.columns, standardise=self.standardise)


class BouncingDot(DataPlugin):
    """One-dimensional images of a dot that bounces at constant speed, with noise: the synthetic data of the SVAE papers."""

    sequences: int = Field(20, ge=1, description="sequences")
    time: int = Field(50, ge=1, description="time steps of each", json_schema_extra=_STEPS)
    pixels: int = Field(10, ge=2, description="pixels of an image")
    speed: float = Field(0.1, gt=0, description="of the dot a step; the screen is 2 wide")
    width: float = Field(0.2, gt=0, description="standard deviation of the dot's profile; the screen is 2 wide")
    noise: float = Field(0.06, ge=0, description="standard deviation of the noise on each pixel")
    seed: int = Field(0, ge=0, description="seed of starts and noise")
    standardise: bool = Field(False, description=_STANDARDISE)

    def load(self):
        from slds_core.data.bouncing_dot import bouncing_dot

        return bouncing_dot(**self.model_dump())


class SyntheticSLDS(DataPlugin):
    """Draws from a known SLDS, whose states rotate around centres of their own: the truth for tests of recovery."""

    lengths: list[Annotated[int, Field(ge=1)]] = Field(
        [200], min_length=1, description="time steps of each sequence", json_schema_extra=_STEPS
    )
    latent: int = Field(2, ge=1, description="latent dimension")
    states: int = Field(3, ge=1, description="discrete states")
    channels: int = Field(5, ge=1, description="observed channels")
    stickiness: float = Field(0.95, ge=0, lt=1, description="probability of staying in a state")
    process_noise: float = Field(0.1, gt=0, description="standard deviation of the latent path's noise")
    observation_noise: float = Field(0.2, gt=0, description="standard deviation of the observations' noise")
    missing: float = Field(0.0, ge=0, lt=1, description="share of entries that are missing at random")
    seed: int = Field(0, ge=0, description="seed of system and draws")
    standardise: bool = Field(False, description=_STANDARDISE)

    def load(self):
        from slds_core.data.synthetic_slds import synthetic_slds

        return synthetic_slds(**self.model_dump())
