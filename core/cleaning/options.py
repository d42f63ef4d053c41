"""What cleaning is asked to do: every choice, its default and its limits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..jobs import from_json

MODES = ("robust", "seed")
METHODS = ("loess", "whittaker", "savgol", "linear", "none")
SNOW = ("drop", "keep")
# Classes of s2_mask that may be left out, and their numbers; what is none of 0 to 4 counts as other.
CLEAR, SNOW_CLASS, OTHER = 0, 3, 4
DROPPED = {"cloud": 1, "shadow": 2, "other": OTHER}
LEAST_POINTS = 5  # of a window of LOESS
STRONGEST = 1e8  # of Whittaker: a nearly straight line; beyond, float64 runs out of digits


@dataclass(frozen=True)
class CleaningOptions:
    """How series are cleaned.

    `mode`: "robust", or "seed" for the steps of forest_drought_forecasting. `driver`: the variable that decides what
    is an outlier. `remove_fraction`: of the clear dates, at most. `max_gap`: longest gap in steps. `method`: of filling
    and smoothing. `loess_fraction` of the axis, `loess_iterations`; `window_days`, `min_group`: of the outliers;
    `whittaker_lambda` (0: by cross-validation); `savgol_days`, `savgol_degree`; `max_extrapolation`: steps before the
    first and after the last seen value that are filled. `drop`: of `DROPPED`; `snow`: of `SNOW`; `dilate`: pixels
    around cloud and shadow; `years`: from whose dates the usual course is taken, as "2017-2020,2022", empty for all.
    Raises `InputError`.
    """

    mode: str = "robust"
    driver: str = "s2_ndvi"
    remove_fraction: float = 0.05
    max_gap: int = 36
    method: str = "loess"
    loess_fraction: float = 0.07
    loess_iterations: int = 3
    window_days: int = 30
    min_group: int = 8
    whittaker_lambda: float = 0.0
    savgol_days: int = 60
    savgol_degree: int = 2
    max_extrapolation: int = 6
    drop: tuple = tuple(DROPPED)
    snow: str = "drop"
    dilate: int = 0
    years: str = ""

    def __post_init__(self) -> None:
        for name, known in (("mode", MODES), ("method", METHODS), ("snow", SNOW)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name.upper()} cannot be {getattr(self, name)!r}.", f"Known: {', '.join(known)}."
                )
        if not self.driver:
            raise InputError("DRIVER is empty.", "Name the variable that tells outliers, such as s2_ndvi.")
        unknown = [each for each in self.drop if each not in DROPPED]
        if unknown:
            raise InputError(f"DROP cannot be {unknown[0]!r}.", f"Known: {', '.join(DROPPED)}.")
        _within("REMOVE_FRACTION", self.remove_fraction, 0, 1)
        _within("LOESS_FRACTION", self.loess_fraction, 0, 1)
        _within("MAX_GAP", self.max_gap, 0, None)
        _within("MAX_EXTRAPOLATION", self.max_extrapolation, 0, None)
        _within("LOESS_ITERATIONS", self.loess_iterations, 0, 20)
        _within("WINDOW_DAYS", self.window_days, 1, None)
        _within("MIN_GROUP", self.min_group, 1, None)
        _within("WHITTAKER_LAMBDA", self.whittaker_lambda, 0, STRONGEST)
        _within("SAVGOL_DEGREE", self.savgol_degree, 0, 4)
        _within("SAVGOL_DAYS", self.savgol_days, 1, None)
        _within("DILATE", self.dilate, 0, 100)
        if self.mode == "seed" and self.method not in ("loess", "linear", "none"):
            raise InputError(
                f"MODE seed has no METHOD {self.method}.", "Choose loess, linear or none, or MODE robust."
            )
        if self.mode == "seed" and self.years:
            raise InputError("MODE seed takes all years.", "Leave YEARS empty, or choose MODE robust.")
        permitted_years(self.years)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CleaningOptions:
        """Of names in lower case or, as parameters of `minicuber:cleanclouds`, in capitals. Raises `InputError`."""
        values = {str(name).lower(): value for name, value in values.items()}
        if isinstance(values.get("drop"), str):
            values["drop"] = [each.strip() for each in values["drop"].split(",") if each.strip()]
        return from_json(cls, values)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `from_json` takes them."""
        return {**dataclasses.asdict(self), "drop": list(self.drop)}

    @property
    def dropped(self) -> tuple[int, ...]:
        """The classes of the mask that are not clear."""
        classes = [DROPPED[each] for each in self.drop]
        return tuple(sorted([*classes, SNOW_CLASS] if self.snow == "drop" else classes))


def permitted_years(text: str) -> set[int] | None:
    """The years of a text such as "2017-2020,2022"; None for all. Raises `InputError`."""
    years: set[int] = set()
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, _, last = part.partition("-")
        if not first.strip().isdigit() or (last and not last.strip().isdigit()):
            raise InputError(f"YEARS has no year {part!r}.", "Write 2017-2020,2022.")
        begin, end = int(first), int(last or first)
        if not 1900 <= begin <= end <= 2200:
            raise InputError(f"YEARS has no years {part!r}.", "Write 2017-2020,2022.")
        years.update(range(begin, end + 1))
    return years or None


def _within(name: str, value: float, low: float, high: float | None) -> None:
    if not value >= low or (high is not None and value > high):
        limit = f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
        raise InputError(f"{name} cannot be {value:g}.", f"It is {limit}.")
