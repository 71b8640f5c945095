"""Time series to learn from: one container for all sources, and the sources that need no file."""

from slds_core.data.series import Interval as Interval
from slds_core.data.series import Scaling as Scaling
from slds_core.data.series import Series as Series
from slds_core.data.series import series as series
