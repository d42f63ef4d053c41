"""Cleans the series of a block of pixels: what was not seen goes, what is an outlier goes, the rest is filled and
smoothed. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import outliers, seed
from .local import Windows, loess, nearest_windows, polynomial, span_windows
from .options import CLEAR, LEAST_POINTS, OTHER, SNOW_CLASS, CleaningOptions, permitted_years
from .series import Gaps, filled_linearly
from .whittaker import whittaker

ROUNDING = 1e-10


@dataclass(frozen=True)
class Axis:
    """The time axis of series: `days` datetime64[D], rising. `span`: of LOESS in days, None for what the options say of
    this axis (a part of a cube is smoothed with the span of the whole)."""

    days: np.ndarray
    options: CleaningOptions
    span: float | None = None

    @cached_property
    def positions(self) -> np.ndarray:
        """What series run over: days since the first; in mode seed the number of the step."""
        if self.options.mode == "seed":
            return np.arange(len(self.days), dtype=float)
        return (self.days - self.days[0]).astype(float)

    @property
    def span_days(self) -> float:
        """The span of LOESS: LOESS_FRACTION of the axis, in days."""
        if self.span is not None:
            return self.span
        return self.options.loess_fraction * float((self.days[-1] - self.days[0]).astype(int))

    @cached_property
    def windows(self) -> Windows:
        """Of the local regressions."""
        options = self.options
        if options.method == "savgol":
            return span_windows(self.positions, options.savgol_days, options.savgol_degree + 1)
        if options.mode == "seed":
            # The original's rounding: of 0.07 x 300 = 21.000000000000004 steps 21 count, of 20.999999999999996 too.
            count = int(options.loess_fraction * len(self.days) + ROUNDING)
            return nearest_windows(self.positions, count)
        return span_windows(self.positions, self.span_days, LEAST_POINTS)

    def part(self, start: int, stop: int) -> Axis:
        """A stretch of the axis, smoothed with the span of the whole."""
        return Axis(self.days[start:stop], self.options, self.span_days)


@dataclass(frozen=True)
class Cleaned:
    """Series of a block of pixels after cleaning, all (series, steps) unless said otherwise.

    `values`: by variable, float32. `seen`: by variable, whether a value stems from an observation that was kept.
    `clear`: by variable, whether there was an observation before outliers went. `removed`: by variable, outliers.
    `gap`: the longest gap of any variable in steps, (series,). `sampled`: whether it is at most MAX_GAP and something
    was seen, (series,).
    """

    values: dict[str, np.ndarray]
    seen: dict[str, np.ndarray]
    clear: dict[str, np.ndarray]
    removed: dict[str, np.ndarray]
    gap: np.ndarray
    sampled: np.ndarray = field(repr=False)

    @property
    def filled(self) -> np.ndarray:
        """Whether any variable was not seen at the step."""
        return ~np.logical_and.reduce(list(self.seen.values()))

    @property
    def removed_percent(self) -> np.ndarray:
        """Outliers among the clear values of all variables, (series,); NaN where none was clear."""
        clear = sum(each.sum(axis=1) for each in self.clear.values())
        gone = sum(each.sum(axis=1) for each in self.removed.values())
        return np.where(clear > 0, 100 * gone / np.maximum(clear, 1), np.nan)


def cleaned(
    values: dict[str, np.ndarray], driver: np.ndarray, mask: np.ndarray | None, axis: Axis
) -> Cleaned:
    """Clean series: `values` by variable, `driver`, floats (series, steps) with NaN where missing; `mask`: classes of
    s2_mask, None where a cube has none and all that is there is clear."""
    options = axis.options
    clear = clear_steps(mask, driver.shape, options)
    driver = np.where(clear, driver, np.nan)
    there = {name: clear & np.isfinite(each) for name, each in values.items()}
    if options.mode == "seed":
        gone = {
            name: seed.lowest_of_weeks(np.where(clear, each, np.nan), axis.days, options.remove_fraction)
            for name, each in values.items()
        }
        out = seed.lowest_of_weeks(driver, axis.days, options.remove_fraction)
        seen = {name: there[name] & ~gone[name] for name in values}
        # The original measures the gaps of NDVI alone; where nothing was ever seen there is nothing to fill.
        gaps = Gaps(~np.isfinite(driver) | out)
        longest = gaps.longest
        sampled = (longest <= options.max_gap) & ~gaps.missing.all(axis=1)
    else:
        out = outlying(driver, mask, axis)
        gone = {name: there[name] & out for name in values}
        seen = {name: there[name] & ~gone[name] for name in values}
        longest = np.max([each.longest for each in _gaps(seen).values()], axis=0)
        # On a short axis even a series of which nothing was seen has no gap longer than MAX_GAP.
        sampled = (longest <= options.max_gap) & np.all([each.any(axis=1) for each in seen.values()], axis=0)
    gaps = _gaps(seen)
    made = {
        name: smoothed(np.where(seen[name], each, np.float32(np.nan)), axis, gaps[name], sampled)
        for name, each in values.items()
    }
    return Cleaned(made, seen, there, gone, longest, sampled)


def _gaps(seen: dict[str, np.ndarray]) -> dict[str, Gaps]:
    """The gaps of each variable; those that miss the same, as most do, share one."""
    known: list[Gaps] = []
    out = {}
    for name, each in seen.items():
        missing = ~each
        found = next((gaps for gaps in known if np.array_equal(gaps.missing, missing)), None)
        if found is None:
            found = Gaps(missing)
            known.append(found)
        out[name] = found
    return out


def clear_steps(mask: np.ndarray | None, shape: tuple[int, ...], options: CleaningOptions) -> np.ndarray:
    """Which steps the mask takes for clear: (series, steps) bool."""
    if mask is None:
        return np.ones(shape, bool)
    if options.mode == "seed":
        return mask == CLEAR
    known = np.isin(mask, np.arange(OTHER + 1))
    return ~np.isin(np.where(known, mask, OTHER), options.dropped)


def outlying(driver: np.ndarray, mask: np.ndarray | None, axis: Axis, causal: bool = False) -> np.ndarray:
    """Which steps are outliers by mode robust: (series, steps) bool. `driver`: NaN where not clear.

    Snow that is kept is none, and not part of what is usual: snow is not a cloud that was overlooked.
    """
    options = axis.options
    if mask is not None:
        driver = np.where(mask == SNOW_CLASS, np.nan, driver)
    years = permitted_years(options.years)
    permitted = None
    if years is not None:
        permitted = np.isin(axis.days.astype("datetime64[Y]").astype(int) + 1970, list(years))
    unusual = outliers.residuals(driver, axis.days, options.window_days, options.min_group, permitted, causal)
    decide = outliers.removed_causally if causal else outliers.removed
    return decide(unusual, options.remove_fraction)


def smoothed(values: np.ndarray, axis: Axis, gaps: Gaps, sampled: np.ndarray | None = None) -> np.ndarray:
    """Fill and smooth series of floats (series, steps), NaN where missing, whose `gaps` these are, by METHOD: float32.

    In mode seed only series that are `sampled`, and ends are held however long they are, as in the original.
    """
    options = axis.options
    if options.method == "none" or not len(values):
        return values.astype(np.float32, copy=False)
    if options.method == "whittaker":
        curve, _ = whittaker(values.astype(float), axis.positions, options.whittaker_lambda)
        curve = np.where(np.isfinite(curve), curve, values)  # too few to smooth: they stay
        there = ~gaps.missing | gaps.reachable(options.max_gap, options.max_extrapolation)
        return np.where(there, curve, np.nan).astype(np.float32)
    if options.mode == "seed":
        line = filled_linearly(values, axis.positions, gaps, len(axis.days), len(axis.days))
    else:
        line = filled_linearly(values, axis.positions, gaps, options.max_gap, options.max_extrapolation)
    if options.method == "loess":
        line = loess(line, axis.windows, options.loess_iterations, options.mode == "seed")
    elif options.method == "savgol":
        line = polynomial(line, axis.windows, options.savgol_degree)
    if options.mode == "seed" and sampled is not None:
        return np.where(sampled[:, None], line, values).astype(np.float32)
    return line.astype(np.float32)
