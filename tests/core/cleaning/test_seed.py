"""Mode seed beside the study's own results, and its parts beside pandas and numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from minicuber.core.cleaning.clean import Axis, cleaned
from minicuber.core.cleaning.options import CleaningOptions
from minicuber.core.cleaning.seed import iso_week, lowest_of_weeks

PEERS = Path(__file__).resolve().parents[4] / "shared" / "peers" / "cloud_cleaning"


def series(cube: xr.Dataset, name: str) -> np.ndarray:
    values = cube[name].transpose("lat", "lon", "time").values
    return values.reshape(-1, cube.sizes["time"])


@pytest.mark.parametrize(
    ("start", "end", "method"),
    [
        ("reference_input", "reference_cleaned", "loess"),
        ("reference_input", "reference_after_quantile", "none"),
        ("reference2_input", "reference2_cleaned", "loess"),
    ],
)
def test_agrees_with_the_original(start, end, method):
    if not PEERS.is_dir():
        pytest.skip("the study's results are not here: shared/peers/cloud_cleaning")
    with xr.open_dataset(PEERS / f"{start}.nc") as given, xr.open_dataset(PEERS / f"{end}.nc") as expected:
        names = [name for name in given if str(name).startswith("s2_B") or name == "s2_ndvi"]
        values = {name: series(given, name) for name in names}
        axis = Axis(given.time.values.astype("datetime64[D]"), CleaningOptions(mode="seed", method=method))
        done = cleaned(values, values["s2_ndvi"], series(given, "s2_mask"), axis)
        for name in names:
            np.testing.assert_allclose(done.values[name], series(expected, name), atol=1e-6)
            assert done.values[name].dtype == np.float32
        if "to_sample" in expected:
            np.testing.assert_array_equal(done.sampled, expected.to_sample.values.ravel() == 1)


def test_weeks_are_those_of_the_calendar():
    days = np.arange(np.datetime64("1999-12-20"), np.datetime64("2030-01-20"))
    np.testing.assert_array_equal(iso_week(days), pd.DatetimeIndex(days).isocalendar().week)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.5, 1.0])
def test_quantiles_are_those_of_numpy(dtype, fraction):
    rng = np.random.default_rng(5)
    days = np.datetime64("2016-01-03") + 5 * np.arange(300)
    values = rng.normal(0.5, 0.1, (20, 300)).astype(dtype)
    values[rng.random(values.shape) < 0.4] = np.nan
    values[0] = np.round(values[0], 1)
    values[1] = np.nan
    gone = lowest_of_weeks(values, days, fraction)
    weeks = iso_week(days)
    for row, out in zip(values, gone, strict=True):
        for week in np.unique(weeks):
            group = row[weeks == week]
            if np.isnan(group).all():
                assert not out[weeks == week].any()
                continue
            limit = np.nanquantile(group, fraction)
            np.testing.assert_array_equal(out[weeks == week], group < limit)


def test_no_value_at_all_is_not_an_error():
    """The original stopped with an error at a pixel that was never seen, if its series was short."""
    days = np.datetime64("2016-01-03") + 5 * np.arange(20)
    values = {"s2_ndvi": np.full((2, 20), np.nan, np.float32)}
    done = cleaned(values, values["s2_ndvi"], np.ones((2, 20)), Axis(days, CleaningOptions(mode="seed")))
    assert np.isnan(done.values["s2_ndvi"]).all() and not done.sampled.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("steps", "clear"), [(60, 0.5), (90, 0.2), (150, 0.15), (470, 0.2)])
def test_sparse_series_are_the_originals_too(dtype, steps, clear):
    """Most of such a series is straight lines, where the original's result hangs on the last bit of its sums."""
    rng = np.random.default_rng(steps)
    days = np.datetime64("2016-01-03") + 5 * np.arange(steps)
    values = (0.5 + 0.3 * np.sin(np.arange(steps) / 12) + rng.normal(0, 0.05, (12, steps))).astype(dtype)
    values[0] = np.round(values[0], 1)
    mask = np.where(rng.random(values.shape) < clear, 0, 1)
    axis = Axis(days, CleaningOptions(mode="seed", remove_fraction=0.05, max_gap=steps))
    done = cleaned({"s2_ndvi": values}, values, mask, axis)
    gone = lowest_of_weeks(np.where(mask == 0, values, np.nan), days, 0.05)
    numbers = np.arange(steps)
    for row, found, seen in zip(values, done.values["s2_ndvi"], (mask == 0) & ~gone, strict=True):
        line = np.interp(numbers, numbers[seen], row[seen])
        expected = sm.nonparametric.lowess(line, numbers, frac=0.07)[:, 1]
        np.testing.assert_allclose(found, expected, atol=1e-6)
