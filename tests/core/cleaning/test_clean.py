"""Cleaning of a block of series: what is dropped, filled and flagged, in mode robust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.cleaning.clean import Axis, cleaned, clear_steps
from minicuber.core.cleaning.options import METHODS, CleaningOptions
from minicuber.core.errors import InputError

DAYS = np.datetime64("2018-01-02") + 5 * np.arange(150)


def block(seed: int = 1, series: int = 10, days: np.ndarray = DAYS) -> tuple[dict, np.ndarray]:
    """Two bands and NDVI, and a mask with all classes; values of cloudy dates are wrong."""
    rng = np.random.default_rng(seed)
    shape = (series, len(days))
    ndvi = 0.6 + 0.2 * np.sin(2 * np.pi * np.arange(len(days)) / 73) + rng.normal(0, 0.02, shape)
    mask = rng.choice(5, shape, p=[0.6, 0.2, 0.1, 0.05, 0.05]).astype(np.uint8)
    ndvi[mask > 0] = rng.uniform(-0.2, 0.2, np.sum(mask > 0))
    values = {"s2_B04": 0.05 * (1 - ndvi), "s2_B08": 0.3 + 0.1 * ndvi, "s2_ndvi": ndvi}
    return {name: each.astype(np.float32) for name, each in values.items()}, mask


def run(values, mask, days=DAYS, **options):
    axis = Axis(days, CleaningOptions(**options))
    return cleaned(values, values["s2_ndvi"], mask, axis)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_series_without_gaps_pass_unchanged(seed, steps):
    values, _ = block(seed, 3, DAYS[:steps])
    done = run(values, np.zeros((3, steps)), DAYS[:steps], method="linear", remove_fraction=0)
    for name, each in values.items():
        np.testing.assert_array_equal(done.values[name], each)
    assert not done.filled.any() and done.sampled.all()


@pytest.mark.parametrize("method", METHODS)
def test_clouds_leave_no_trace(method):
    """Values of cloudy dates must not matter, whatever they are."""
    values, mask = block()
    other = {name: np.where(mask > 0, np.float32(7), each) for name, each in values.items()}
    first, second = run(values, mask, method=method), run(other, mask, method=method)
    for name in values:
        np.testing.assert_array_equal(first.values[name], second.values[name])


def test_a_date_stays_consistent_over_its_bands():
    """One decision for all bands: where one value of a date went, all went."""
    values, mask = block(2)
    done = run(values, mask, method="none", remove_fraction=0.1)
    gone = [np.isnan(done.values[name]) for name in values]
    assert np.array_equal(gone[0], gone[1]) and np.array_equal(gone[1], gone[2])
    assert np.array_equal(gone[0], done.filled)
    clear = (mask == 0).sum(axis=1)
    assert ((mask == 0) & gone[0]).sum(axis=1).tolist() == np.floor(0.1 * clear + 1e-9).astype(int).tolist()


@pytest.mark.parametrize("method", ["loess", "whittaker", "savgol", "linear"])
def test_truth_is_found_again(method):
    """A smooth course under clouds and outliers comes out of it, to a few noise levels."""
    values, mask = block(3, 40)
    truth = 0.6 + 0.2 * np.sin(2 * np.pi * np.arange(len(DAYS)) / 73)
    rng = np.random.default_rng(4)
    missed = (mask == 0) & (rng.random(mask.shape) < 0.02)  # clouds that the mask missed
    values["s2_ndvi"][missed] -= np.float32(0.5)
    done = run(values, mask, method=method)
    error = np.nanmedian(np.abs(done.values["s2_ndvi"] - truth))
    assert error < (0.02 if method == "linear" else 0.012)
    assert done.removed["s2_ndvi"][missed].mean() > 0.9


def test_gaps_of_every_variable_count():
    """The study looked at the gaps of NDVI alone."""
    values, _ = block(5, 2)
    values["s2_B08"][1, 20:60] = np.nan
    done = run(values, np.zeros((2, 150)), remove_fraction=0, method="linear", max_gap=36)
    assert done.gap.tolist() == [0, 40] and done.sampled.tolist() == [True, False]
    assert np.isnan(done.values["s2_B08"][1, 20:60]).all()
    assert np.isfinite(done.values["s2_ndvi"]).all()


@pytest.mark.parametrize("method", ["loess", "whittaker", "savgol", "linear"])
def test_ends_are_filled_so_far_and_no_farther(method):
    values, _ = block(6, 1)
    mask = np.zeros((1, 150))
    mask[:, :20] = mask[:, 140:] = 1
    done = run(values, mask, method=method, max_extrapolation=4, remove_fraction=0)
    there = np.isfinite(done.values["s2_ndvi"][0])
    assert there[16:144].all() and not there[:16].any() and not there[144:].any()
    assert done.filled[0, :20].all() and not done.filled[0, 20:140].any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_clear_dates_invent_nothing(method, count):
    values, _ = block(7, 1)
    mask = np.ones((1, 150))
    mask[0, [70, 71][:count]] = 0
    done = run(values, mask, method=method, max_extrapolation=0)
    there = np.isfinite(done.values["s2_ndvi"][0])
    assert there.sum() <= count
    assert done.filled[0].sum() == 150 - count


@pytest.mark.parametrize("mode", ["robust", "seed"])
def test_nothing_seen_on_a_short_axis_is_nothing_to_sample(mode):
    """20 steps without a value are no gap of more than MAX_GAP, but no series either."""
    values, _ = block(7, 2, DAYS[:20])
    mask = np.ones((2, 20))
    mask[1] = 0
    done = run(values, mask, DAYS[:20], mode=mode)
    assert done.gap[0] == 20 and done.sampled.tolist() == [False, True]
    assert np.isnan(done.removed_percent[0]) and done.removed_percent[1] >= 0


def test_a_series_too_short_for_whittaker_keeps_what_was_seen():
    values, _ = block(7, 1)
    mask = np.ones((1, 150))
    mask[0, [70, 90]] = 0
    done = run(values, mask, method="whittaker")
    there = np.isfinite(done.values["s2_ndvi"][0])
    assert there.nonzero()[0].tolist() == [70, 90]
    np.testing.assert_array_equal(done.values["s2_ndvi"][0, there], values["s2_ndvi"][0, there])


def test_a_band_that_is_missing_is_filled_alone():
    values, _ = block(8, 1)
    values["s2_B04"][0, 50] = np.nan
    done = run(values, np.zeros((1, 150)), method="linear", remove_fraction=0)
    assert np.isfinite(done.values["s2_B04"]).all()
    assert done.filled[0].nonzero()[0].tolist() == [50]
    np.testing.assert_array_equal(done.values["s2_ndvi"], values["s2_ndvi"])


def test_snow_is_no_cloud():
    values, mask = block(9)
    done = run(values, mask, snow="keep", method="none")
    snow = mask == 3
    assert np.isfinite(done.values["s2_ndvi"][snow]).all() and not done.filled[snow].any()
    without = run(values, mask, method="none")
    assert np.isnan(without.values["s2_ndvi"][snow]).all()
    # It has no say in what is usual: what goes beside it is the same.
    np.testing.assert_array_equal(done.removed["s2_ndvi"], without.removed["s2_ndvi"])


def test_classes_that_nobody_knows_are_not_clear():
    mask = np.array([[0, 1, 2, 3, 4, 5, 255]], np.uint8)
    assert clear_steps(mask, mask.shape, CleaningOptions()).tolist() == [[True] + 6 * [False]]
    options = CleaningOptions(drop=("cloud",), snow="keep")
    assert clear_steps(mask, mask.shape, options).tolist() == [[True, False, True, True, True, True, True]]


@pytest.mark.parametrize("mode", ["robust", "seed"])
@pytest.mark.parametrize("method", ["loess", "linear"])
def test_results_do_not_depend_on_blocks(mode, method):
    values, mask = block(10, 30)
    values["s2_B04"][::4, 30] = np.nan
    whole = run(values, mask, mode=mode, method=method)
    for start in range(0, 30, 7):
        part = slice(start, start + 7)
        own = run({name: each[part] for name, each in values.items()}, mask[part], mode=mode, method=method)
        for name in values:
            np.testing.assert_allclose(own.values[name], whole.values[name][part], atol=1e-7)
        np.testing.assert_array_equal(own.filled, whole.filled[part])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mode": "best"}, "MODE"), ({"method": "spline"}, "METHOD"), ({"remove_fraction": 1.5}, "REMOVE_FRACTION"),
        ({"max_gap": -1}, "MAX_GAP"), ({"drop": ("clouds",)}, "DROP"), ({"years": "two"}, "YEARS"),
        ({"mode": "seed", "method": "whittaker"}, "MODE seed"), ({"remove_fraction": float("nan")}, "REMOVE_FRACTION"),
        ({"whittaker_lambda": 1e9}, "WHITTAKER_LAMBDA"), ({"driver": ""}, "DRIVER is empty"),
        ({"years": "2020-2018"}, "YEARS"), ({"mode": "seed", "years": "2018"}, "YEARS"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options, word):
    with pytest.raises(InputError, match=word):
        CleaningOptions(**options)


def test_options_in_capitals_are_those_of_the_algorithm():
    options = CleaningOptions.from_json(
        {"METHOD": "whittaker", "WHITTAKER_LAMBDA": 10, "DROP": "cloud, shadow"}
    )
    assert (options.method, options.whittaker_lambda, options.drop) == (
        "whittaker",
        10.0,
        ("cloud", "shadow"),
    )
    assert CleaningOptions.from_json(options.to_json()) == options
    with pytest.raises(InputError, match="Unknown parameter: smooth"):
        CleaningOptions.from_json({"SMOOTH": 1})
