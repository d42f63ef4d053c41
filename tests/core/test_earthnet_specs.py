"""Specs of earthnet-minicuber: what they say reaches the recipe, and what does not is said."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from minicuber.core import earthnet_specs
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.earthnet_specs import OTHER_PROVIDERS, is_specs, recipe_of_specs
from minicuber.core.errors import InputError
from minicuber.core.recipe import Recipe
from minicuber.core.sources.sentinel2 import BANDS

# What is not under test is switched off, so that a list of notes holds what a test adds.
QUIET = {"best_orbit_filter": False, "brdf_correction": False, "cloud_mask": False}


def s2(**kwargs):
    return {"name": "s2", "kwargs": {"bands": ["B04", "B8A"], **QUIET, **kwargs}}


def specs(*others, provider=None, **changes):
    return {
        "lon_lat": (7.44, 46.95),
        "xy_shape": (128, 64),
        "resolution": 20,
        "time_interval": "2021-07-01/2021-07-31",
        "providers": [provider or s2(), *others],
        **changes,
    }


def without(values, key):
    return {name: value for name, value in values.items() if name != key}


# The dictionary of the README of the fork of geco-bern: that of the original and ERA5.
README = {
    "lon_lat": (43.598946, 3.087414),
    "xy_shape": (256, 256),
    "resolution": 10,
    "time_interval": "2021-07-01/2021-07-31",
    "providers": [
        {
            "name": "s2",
            "kwargs": {
                "bands": ["B02", "B03", "B04", "B8A"],
                "best_orbit_filter": True,
                "five_daily_filter": False,
                "brdf_correction": True,
                "cloud_mask": True,
                "aws_bucket": "planetary_computer",
            },
        },
        {
            "name": "era5",
            "kwargs": {
                "bands": ["sr", "t", "mint"],
                "aws_bucket": "planetary_computer",
                "n_daily_filter": None,
                "agg_list": ["min", "max", "sum"],
                "match_s2": True,
            },
        },
        {
            "name": "s1",
            "kwargs": {
                "bands": ["vv", "vh"],
                "speckle_filter": True,
                "speckle_filter_kwargs": {"type": "lee", "size": 9},
                "aws_bucket": "planetary_computer",
            },
        },
        {"name": "ndviclim", "kwargs": {"bands": ["mean", "std"]}},
        {"name": "cop", "kwargs": {}},
        {"name": "esawc", "kwargs": {"bands": ["lc"], "aws_bucket": "planetary_computer"}},
    ],
}


def test_the_specs_of_the_readme_become_a_recipe_and_every_loss_is_said():
    fields, notes = recipe_of_specs(README)
    assert fields == {
        "extent": [43.598946, 43.598946, 3.087414, 3.087414],
        "extent_crs": "EPSG:4326",
        "width": 256,
        "height": 256,
        "resolution": 10.0,
        "start": "2021-07-01",
        "end": "2021-07-31",
        "catalog": "planetary-computer",
        "s2_bands": ["B02", "B03", "B04", "B8A", "SCL"],
        "s2_mask": "scl",
        "time_axis": "s2",
    }
    subjects = ("'era5'", "'s1'", "'ndviclim'", "'cop'", "'esawc'", "best_orbit_", "brdf_", "cloud_mask")
    assert len(notes) == len(subjects)
    for subject, note in zip(subjects, notes):
        assert subject in note
    recipe = Recipe(**fields)
    assert (recipe.width, recipe.height) == (256, 256)


def test_arguments_that_are_not_given_have_the_defaults_of_the_original_and_are_said():
    fields, notes = recipe_of_specs(specs(provider={"name": "s2"}))
    assert set(fields["s2_bands"]) == set(BANDS)
    assert fields["catalog"] == "planetary-computer"
    assert fields["s2_mask"] == "scl"
    assert sum("(on by default)" in note for note in notes) == 3


def test_the_primary_provider_of_old_specs_is_not_lost():
    old = {**without(specs(), "providers"), "primary_provider": s2(), "other_providers": [{"name": "srtm"}]}
    fields, notes = recipe_of_specs(old)
    assert fields["s2_bands"] == ["B04", "B8A"]
    assert [note for note in notes if "'srtm'" in note] == notes
    assert recipe_of_specs(without(old, "other_providers")) == (fields, [])


def test_old_specs_that_the_original_has_used_are_not_reported_as_contradictory():
    # The original writes the joined list back into the dictionary.
    used = {**specs(), "primary_provider": s2(), "other_providers": ()}
    assert recipe_of_specs(used)[1] == []
    contradictory = {**used, "providers": [{"name": "s1", "kwargs": {}}]}
    (note,) = recipe_of_specs(contradictory)[1]
    assert "providers is ignored" in note
    (note,) = recipe_of_specs(specs(other_providers=[{"name": "s1"}]))[1]
    assert "other_providers is ignored" in note


@pytest.mark.parametrize("name", OTHER_PROVIDERS)
def test_no_provider_is_dropped_in_silence(name):
    (note,) = recipe_of_specs(specs({"name": name, "kwargs": {"bands": ["a"]}}))[1]
    assert f"'{name}'" in note and "no counterpart" in note


def test_the_table_of_providers_is_that_of_both_forks():
    both = "s1 ndviclim srtm esawc era5 era5land sg geom ls cop alos era5esdl nasa era5_old"
    assert set(OTHER_PROVIDERS) == set(both.split())


def test_bands_are_those_of_the_recipe():
    assert set(earthnet_specs.BANDS) == set(BANDS)


@pytest.mark.parametrize(
    ("given_specs", "subject"),
    [
        (specs({"name": "modis", "kwargs": {}}), "'modis'"),
        (specs({"name": "S1"}), "'S1'"),
        (specs(s2()), "second provider 's2'"),
        (specs(cloud_cover=20), "'cloud_cover'"),
        (specs(provider=s2(max_cloud=20)), "'max_cloud'"),
        (specs(provider={**s2(), "kwarg": {}}), "'kwarg'"),
        (specs(provider=s2(bands=["B04", "B10"])), "'B10'"),
        (specs(provider=s2(bands=["B04", "b08"])), "'b08'"),
        (specs(provider=s2(bands=["B04", "mask"])), "'mask'"),
        (specs(provider=s2(bands=["B04", "WVP"])), "AOT and WVP"),
        (specs(provider=s2(correct_processing_baseline=False)), "correct_processing_baseline"),
        (specs(provider=s2(s2_avail_var=False)), "s2_avail"),
        (specs(provider=s2(aws_bucket="cdse")), "'cdse'"),
        (specs(full_time_interval="2021-01-01/2021-12-31"), "full_time_interval"),
    ],
)
def test_what_has_no_counterpart_is_said_once(given_specs, subject):
    (note,) = recipe_of_specs(given_specs)[1]
    assert subject in note


@pytest.mark.parametrize(
    "provider",
    [
        s2(correct_processing_baseline=True, s2_avail_var=True, five_daily_filter=False),
        s2(cloud_mask_rescale_factor=2),  # means nothing without a cloud mask
        s2(cloud_mask_rescale_factor=None),
    ],
)
def test_what_the_cube_does_anyway_is_no_loss(provider):
    same = "2021-07-01/2021-07-31"
    assert recipe_of_specs(specs(provider=provider, full_time_interval=same))[1] == []


def test_a_cloud_mask_comes_with_its_scene_classification():
    fields, notes = recipe_of_specs(specs(provider=s2(cloud_mask=True, cloud_mask_rescale_factor=2)))
    assert fields["s2_mask"] == "scl" and "SCL" in fields["s2_bands"]
    assert ["rescale" in note for note in notes] == [False, True]
    fields, _ = recipe_of_specs(specs())
    assert fields["s2_mask"] == "none" and "SCL" not in fields["s2_bands"]


@pytest.mark.parametrize(
    ("bucket", "catalog"),
    [
        ("planetary_computer", "planetary-computer"),
        ("element84", "earth-search/sentinel-2-l2a"),
        ("dea", "deafrica/s2_l2a"),  # of Africa, not of Australia
        ("anything else", "earth-search/sentinel-2-l2a"),
    ],
)
def test_the_bucket_leads_to_the_catalog_that_the_original_asks(bucket, catalog):
    assert recipe_of_specs(specs(provider=s2(aws_bucket=bucket)))[0]["catalog"] == catalog
    assert load_registry().preset(catalog) is not None


def test_the_five_daily_filter_becomes_a_regular_axis_unless_another_filter_switches_it_off():
    fields, (note,) = recipe_of_specs(specs(provider=s2(five_daily_filter=True)))
    assert (fields["time_axis"], fields["step_days"]) == ("regular", 5)
    assert "five_daily_filter" in note
    Recipe(**fields)
    fields, notes = recipe_of_specs(specs(provider=s2(five_daily_filter=True, best_orbit_filter=True)))
    assert fields["time_axis"] == "s2" and "step_days" not in fields
    assert len(notes) == 2


def test_a_period_without_a_whole_step_is_refused_by_the_names_of_the_specs():
    five_daily = s2(five_daily_filter=True)
    with pytest.raises(InputError, match=r"time_interval is shorter .* five_daily_filter"):
        recipe_of_specs(specs(provider=five_daily, time_interval="2021-07-01/2021-07-04"))
    Recipe(**recipe_of_specs(specs(provider=five_daily, time_interval="2021-07-01/2021-07-05"))[0])


def test_longitude_comes_first():
    assert recipe_of_specs(specs(lon_lat=(-120, 37.5)))[0]["extent"] == [-120.0, -120.0, 37.5, 37.5]


def test_width_is_the_first_of_xy_shape():
    fields, _ = recipe_of_specs(specs(xy_shape=[128, 64]))
    assert (fields["width"], fields["height"]) == (128, 64)


@pytest.mark.parametrize(
    ("malformed", "key"),
    [
        *((without(specs(), key), key) for key in specs()),
        ({}, "lon_lat"),
        (["lon_lat"], "specs"),
        (None, "specs"),
        *((specs(lon_lat=value), "lon_lat") for value in (7.44, "7,46", {"lon": 7}, (7,), (7, 46, 500))),
        *(
            (specs(lon_lat=value), "lon_lat")
            for value in ((7, "46"), (7, None), (True, 46), (7, float("nan")))
        ),
        *((specs(lon_lat=value), "lon_lat") for value in ((180.1, 0), (37.5, -120), (0, 90.1), (10**400, 0))),
        *(
            (specs(xy_shape=value), "xy_shape")
            for value in (128, "128", (128,), (128, 0), (-1, 1), (1, 2, 3))
        ),
        *((specs(xy_shape=value), "xy_shape") for value in ((12.5, 12), (True, 128), ("128", "128"))),
        *((specs(resolution=value), "resolution") for value in (0, -10, "20", None, True, [20])),
        *((specs(resolution=value), "resolution") for value in (float("inf"), float("nan"), 10**400)),
        *((specs(time_interval=value), "time_interval") for value in (None, 2021, "", "2021-07-01", "a/b")),
        (specs(time_interval=["2021-07-01", "2021-07-31"]), "time_interval"),
        (specs(time_interval="2021-07-01/2021-07-31/2021-08-01"), "time_interval"),
        (specs(time_interval="2021-07-01/2021-07-32"), "time_interval"),
        (specs(time_interval="2021-07-31/2021-07-01"), "time_interval"),
        (specs(full_time_interval="2021"), "full_time_interval"),
        *((specs(providers=value), "providers") for value in (None, "s2", s2(), 1)),
        *((specs(providers=[value]), "provider") for value in ("s2", None, {}, {"name": 2}, ["s2"])),
        (specs(providers=[]), "'s2'"),
        (specs(providers=[{"name": "s1", "kwargs": {}}]), "'s2'"),
        (specs({"name": "s1", "kwargs": ["vv"]}), "'s1'"),
        (specs(provider={"name": "s2", "kwargs": None}), "'s2'"),
        (specs(primary_provider="s2", other_providers=[]), "provider"),
        (specs(primary_provider=s2(), other_providers={"name": "s1"}), "other_providers"),
        *(
            (specs(provider=s2(bands=value)), "bands")
            for value in (None, "B04", [4], [], ["B10"], {"B04": 1})
        ),
        *((specs(provider=s2(aws_bucket=value)), "aws_bucket") for value in (None, 1, ["dea"])),
        *((specs(provider=s2(**{key: "yes"})), key) for key in QUIET),
        (specs(provider=s2(five_daily_filter=None)), "five_daily_filter"),
        (specs(provider=s2(correct_processing_baseline=1)), "correct_processing_baseline"),
    ],
)
def test_malformed_specs_are_refused_in_one_sentence_that_names_the_key(malformed, key):
    with pytest.raises(InputError) as caught:
        recipe_of_specs(malformed)
    message = caught.value.message
    assert key in message
    assert message.endswith(".") and "\n" not in message and len(message) < 250


def test_tuples_and_lists_are_alike():
    assert recipe_of_specs(json.loads(json.dumps(README))) == recipe_of_specs(README)


def test_the_specs_are_left_as_they_were():
    # The original writes into the dictionary and into the default bands of its providers.
    for given_specs in (README, {**specs(provider={"name": "s2"}), "primary_provider": s2(cloud_mask=True)}):
        before = copy.deepcopy(given_specs)
        first = recipe_of_specs(given_specs)
        assert given_specs == before
        assert recipe_of_specs(given_specs) == first


def test_a_recipe_is_not_taken_for_specs_nor_malformed_specs_for_a_recipe():
    assert is_specs(README)
    assert is_specs(without(README, "lon_lat"))
    assert is_specs({"primary_provider": s2()})
    assert not is_specs(json.loads(Recipe(**recipe_of_specs(README)[0]).to_json()))
    assert not is_specs({"resolution": 10, "s2_bands": ["B04"]})
    assert not is_specs({"extent": [7, 8, 46, 47], "providers": "a key that the recipe refuses by itself"})
    assert not any(is_specs(value) for value in ({}, [], None, "lon_lat", ["lon_lat"]))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def mostly(good):
    """A good value in most draws, so that a draw as a whole comes past the first check."""
    return st.one_of(good, good, good, JSON)


S2_KWARGS = st.fixed_dictionaries(
    {},
    optional={
        "bands": mostly(st.lists(st.sampled_from([*BANDS, "B10", "mask"]), max_size=5)),
        "aws_bucket": mostly(st.sampled_from(["planetary_computer", "element84", "dea", "other"])),
        "cloud_mask_rescale_factor": JSON,
        **{name: mostly(st.booleans()) for name in earthnet_specs.SWITCHES},
    },
)
PROVIDERS = st.lists(
    mostly(
        st.fixed_dictionaries({"name": st.just("s2"), "kwargs": mostly(S2_KWARGS)})
        | st.fixed_dictionaries(
            {"name": st.sampled_from(list(OTHER_PROVIDERS)) | st.text(max_size=4)}, optional={"kwargs": JSON}
        )
    ),
    max_size=4,
)
DAYS = st.dates().map(str)
INTERVALS = st.tuples(DAYS, DAYS).map(sorted).map("/".join)
SPECS = st.fixed_dictionaries(
    {
        "lon_lat": mostly(st.tuples(st.floats(-180, 180), st.floats(-90, 90))),
        "xy_shape": mostly(st.tuples(st.integers(1, 999), st.integers(1, 999))),
        "resolution": mostly(st.floats(1, 100) | st.integers(1, 100)),
        "time_interval": mostly(INTERVALS),
        "providers": mostly(PROVIDERS),
    },
    optional={
        "full_time_interval": mostly(INTERVALS),
        "primary_provider": mostly(st.builds(lambda kwargs: {"name": "s2", "kwargs": kwargs}, S2_KWARGS)),
        "other_providers": mostly(PROVIDERS),
        "unknown": JSON,
    },
)


@given(SPECS | JSON)
@example({"lon_lat": [[[[[[[[]]]]]]]]})
def test_whatever_is_given_becomes_a_valid_recipe_of_json_values_or_an_input_error(values):
    is_specs(values)
    try:
        fields, notes = recipe_of_specs(values)
    except InputError:
        return
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    Recipe(**fields)
    for note in notes:
        assert note.endswith(".") and "\n" not in note


OTHER_NAMES = st.sampled_from(sorted(OTHER_PROVIDERS)) | st.text(max_size=6).filter(lambda name: name != "s2")


@given(st.lists(OTHER_NAMES, max_size=6), st.data())
def test_each_further_provider_has_its_note_wherever_it_stands(names, data):
    providers = [{"name": name, "kwargs": {}} for name in names]
    providers.insert(data.draw(st.integers(0, len(names))), s2())
    assert len(recipe_of_specs(specs(providers=providers))[1]) == len(names)
