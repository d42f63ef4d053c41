"""No value after a context's last date has any influence on the context, however it is smoothed (facts 1.8)."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from minicuber.core.cleaning.causal import CausalCleaner
from minicuber.core.cleaning.options import CleaningOptions
from minicuber.core.errors import InputError

N = 80
CLEANING = {"loess_fraction": 0.15, "remove_fraction": 0.1, "max_gap": 10}


def later_changed(first: int):
    """Everything from the step `first` on is other: values, gaps and mask."""

    def change(cube: xr.Dataset) -> xr.Dataset:
        rng = np.random.default_rng(99)
        for name in ("s2_B04", "s2_ndvi"):
            values = cube[name].values
            values[first:] = rng.uniform(-1, 2, values[first:].shape)
            values[first:][rng.random(values[first:].shape) < 0.5] = np.nan
        cube.s2_mask.values[first:] = rng.integers(0, 5, cube.s2_mask.values[first:].shape)
        return cube

    return change


METHODS = ("loess", "whittaker", "savgol", "linear")
CLEANED = [(smoothing, method) for smoothing in ("context", "both") for method in METHODS]


@pytest.mark.parametrize(("smoothing", "method"), [("none", ""), *CLEANED])
def test_nothing_after_a_context_changes_it(make, export, samples_of, smoothing, method):
    cleaning = {} if smoothing == "none" else {**CLEANING, "method": method}
    given = {"smoothing": smoothing, "cleaning": cleaning, "context": 20, "target": 8}
    before = make("site", n_dates=N, shape=(3, 3))
    plain = {str(a["sample_id"]): a for _, a in samples_of(export(before, "plain", **given))}
    end = 45
    make("site", n_dates=N, shape=(3, 3), change=later_changed(end))
    changed = {str(a["sample_id"]): a for _, a in samples_of(export(before, "changed", **given))}
    assert plain.keys() == changed.keys()
    with xr.open_dataset(before) as cube:
        limit = cube.time.values[end].astype("datetime64[D]")
    compared = 0
    for name, arrays in plain.items():
        if arrays["context_time"][-1] < limit:
            compared += 1
            for key in ("context", "context_filled"):
                np.testing.assert_array_equal(arrays[key], changed[name][key])
    assert compared == 9 * (end - 20 + 1)


def test_context_is_cleaned_with_its_past_and_the_target_is_as_seen(make, export, samples_of):
    path = make(n_dates=N, shape=(2, 2))
    folder = export(path, smoothing="context", cleaning=CLEANING, context=20, target=8)
    with xr.open_dataset(path) as cube:
        series = {name: cube[name].values.reshape(N, 4).T.copy() for name in ("s2_B04", "s2_ndvi")}
        mask = cube.s2_mask.values.reshape(N, 4).T.copy()
        days = cube.time.values.astype("datetime64[D]")
    cleaner = CausalCleaner(series, mask, days, CleaningOptions.from_json(CLEANING))
    for _, arrays in samples_of(folder):
        _, row, column, date = str(arrays["sample_id"]).split("_")
        pixel, first = int(row) * 2 + int(column), int(np.flatnonzero(days == np.datetime64(date))[0])
        values, missing = cleaner.window(first, first + 20, past=True)
        for number, name in enumerate(("s2_B04", "s2_ndvi")):
            np.testing.assert_array_equal(arrays["context"][number], values[name][pixel])
            there = np.isfinite(values[name][pixel])
            np.testing.assert_array_equal(arrays["context_filled"][number], missing[name][pixel] & there)
            np.testing.assert_array_equal(
                arrays["target"][number], series[name][pixel, first + 20 : first + 28]
            )
        assert not arrays["target_filled"].any()


def test_both_cleans_the_target_on_its_own_window(make, export, samples_of):
    """A target that is filled from its context would tell a model what it has seen already."""
    given = {"smoothing": "both", "cleaning": CLEANING, "context": 20, "target": 12}
    path = make("site", n_dates=N, shape=(2, 2))
    plain = {str(a["sample_id"]): a for _, a in samples_of(export(path, "plain", **given))}
    assert any(arrays["target_filled"].any() for arrays in plain.values())
    context = {
        str(a["sample_id"]): a
        for _, a in samples_of(export(path, "seen", **{**given, "smoothing": "context"}))
    }
    differs = [
        not np.array_equal(a["target"], context[n]["target"], equal_nan=True) for n, a in plain.items()
    ]
    assert any(differs)


def test_patches_are_smoothed_as_their_pixels_are(make, export, samples_of):
    path = make(n_dates=N, shape=(4, 4))
    given = {"smoothing": "both", "cleaning": CLEANING, "context": 20, "target": 8, "stride": 7}
    pixels = {str(a["sample_id"]): a for _, a in samples_of(export(path, "pixels", **given))}
    for _, arrays in samples_of(export(path, "patches", unit="patch", patch_size=2, **given)):
        label, row, column, date = str(arrays["sample_id"]).split("_")
        for y in range(2):
            for x in range(2):
                pixel = pixels[f"{label}_{int(row) + y:04d}_{int(column) + x:04d}_{date}"]
                for key in ("context", "target", "context_filled"):
                    np.testing.assert_array_equal(arrays[key][..., y, x], pixel[key])


def test_a_driver_that_is_not_exported_still_decides(make, export, samples_of):
    path = make(n_dates=N, shape=(2, 2))
    given = {"smoothing": "context", "cleaning": CLEANING, "context": 20, "target": 8}
    both = {str(a["sample_id"]): a for _, a in samples_of(export(path, "all", **given))}
    for _, arrays in samples_of(export(path, "red", variables="s2_B04", **given)):
        np.testing.assert_array_equal(arrays["context"][0], both[str(arrays["sample_id"])]["context"][0])


def test_whole_takes_what_is_filled_and_says_that_it_leaks(make, export, samples_of):
    def cleaned(cube):
        filled = np.random.default_rng(4).random(cube.s2_ndvi.shape) < 0.3
        cube["s2_filled"] = (("time", "y", "x"), filled.astype("uint8"))
        for name in ("s2_ndvi", "s2_B04"):
            cube[name].attrs |= {"fitted_from": "2019-01-05", "fitted_to": "2019-07-19"}
        return cube

    path = make(change=cleaned)
    folder = export(path, smoothing="whole")
    document = json.loads((folder / "dataset.json").read_text())
    assert document["smoothing"]["leaks"] is True
    assert document["smoothing"]["fitted_variables"] == ["s2_B04", "s2_ndvi"]
    with xr.open_dataset(path) as cube:
        for _, arrays in samples_of(folder):
            _, row, column, date = str(arrays["sample_id"]).split("_")
            first = int(np.flatnonzero(cube.time.values == np.datetime64(date))[0])
            expected = cube.s2_filled.values[first : first + 6, int(row), int(column)].astype(bool)
            np.testing.assert_array_equal(arrays["context_filled"], [expected, expected])
            assert "s2_filled" not in arrays["context_variables"]


@pytest.mark.parametrize("smoothing", ["none", "context", "both"])
def test_what_was_fitted_to_later_dates_is_refused(make, export, smoothing):
    def cleaned(cube):
        cube.s2_ndvi.attrs["fitted_to"] = "2019-07-19"
        return cube

    with pytest.raises(InputError, match=r"s2_ndvi of site\.nc was fitted to data up to 2019-07-19"):
        export(make(change=cleaned), smoothing=smoothing)


def test_what_was_fitted_before_the_contexts_end_is_taken(make, export):
    def cleaned(cube):
        cube.s2_ndvi.attrs["fitted_to"] = "2019-01-30"  # the sixth date
        return cube

    assert export(make(change=cleaned)).is_dir()


def test_cleaning_that_looks_ahead_is_refused_before_anything_is_written(make, export, tmp_path):
    path = make()
    with pytest.raises(InputError, match="MODE seed"):
        export(path, smoothing="context", cleaning={"mode": "seed"})
    with pytest.raises(InputError):
        export(path, smoothing="context", cleaning={"nonsense": 1})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cubes"]
