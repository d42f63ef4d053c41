"""Recipes that travel: as JSON, in cubes, and as the specs of earthnet-minicuber."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.errors import InputError
from minicuber.core.jobs import from_json, run_job
from minicuber.core.progress import Progress
from minicuber.core.recipe import METHODS, Recipe
from minicuber.core.recipe_file import read_recipe
from minicuber.core.sources.sentinel2_bands import BANDS
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (400_020.0, 5_200_020.0)
REFLECTANCE = [name for name, band in BANDS.items() if band.kind == "reflectance"]

recipes = st.builds(
    Recipe,
    extent=st.tuples(*[st.floats(1e5, 9e5)] * 4),
    extent_crs=st.just("EPSG:32632"),
    start=st.just("2021-06-01"),
    end=st.just("2021-08-31"),
    catalog=st.sampled_from(["planetary-computer", "https://example.org/stac", "items.json"]),
    crs=st.sampled_from([None, "EPSG:2056"]),
    resolution=st.one_of(st.just(0.0), st.floats(0.01, 100)),
    width=st.just(64),
    height=st.just(32),
    s2_bands=st.lists(st.sampled_from(list(BANDS)), min_size=1, unique=True).map(tuple),
    s2_mask=st.sampled_from(["none", "scl"]),
    max_cloud=st.floats(0, 100),
    fallback_catalog=st.sampled_from(["", "cdse"]),
    min_clear=st.floats(0, 100),
    time_axis=st.sampled_from(["s2", "regular"]),
    step_days=st.integers(1, 30),
    resampling=st.dictionaries(st.sampled_from(REFLECTANCE), st.sampled_from(METHODS)),
)


@given(recipes)
@settings(deadline=None)
def test_every_choice_survives_json(recipe):
    assert from_json(Recipe, json.loads(recipe.to_json())) == recipe
    assert set(json.loads(recipe.to_json())) == {field.name for field in dataclasses.fields(Recipe)}


@pytest.fixture
def items(tmp_path):
    return collection_file(
        tmp_path, [scene(tmp_path, "a", CRS, CORNER, "2021-06-05T10:30:00Z", bands=("B02", "SCL"))]
    )


def build(output, recipe=None, **order):
    return run_job("buildminicube", {"recipe": recipe or {}, "output": str(output), **order}, Progress())


@pytest.fixture
def recipe(items):
    return {
        "extent": [400_120.0, 400_420.0, 5_199_520.0, 5_199_820.0], "extent_crs": CRS, "start": "2021-06-01",
        "end": "2021-06-30", "catalog": str(items), "s2_bands": ["B02"], "s2_mask": "scl", "time_axis": "regular",
        "step_days": 10, "min_clear": 10, "resampling": {"SCL": "mode"},
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_cube_is_built_again_from_itself(tmp_path, recipe, monkeypatch, suffix):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    build(tmp_path / f"a{suffix}", recipe)
    build(tmp_path / f"b{suffix}", recipe_file=str(tmp_path / f"a{suffix}"))
    with xr.open_dataset(tmp_path / f"a{suffix}") as a, xr.open_dataset(tmp_path / f"b{suffix}") as b:
        xr.testing.assert_identical(a, b)


def test_what_the_file_names_wins_and_the_rest_comes_from_the_call(tmp_path, recipe):
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"s2_bands": ["SCL"], "time_axis": "s2"}))
    build(tmp_path / "a.nc", recipe, recipe_file=str(file))
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert "s2_SCL" in cube and "s2_B02" not in cube and "s2_image_date" not in cube
        assert json.loads(cube.attrs["recipe"])["min_clear"] == 10


def test_relative_catalog_lies_beside_the_recipe(tmp_path, recipe, items, monkeypatch):
    monkeypatch.chdir("/")
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({**recipe, "catalog": items.name}))
    assert build("", recipe_file=str(file), dry_run=True)["n_items"] == 1


def test_specs_of_earthnet_minicuber_build_a_cube_and_say_what_is_lost(tmp_path, items, caplog):
    specs = {
        "lon_lat": [7.69, 46.945], "xy_shape": [16, 12], "resolution": 10, "time_interval": "2021-06-01/2021-06-30",
        "providers": [
            {
                "name": "s2",
                "kwargs": {"bands": ["B02", "SCL"], "cloud_mask": False, "aws_bucket": "planetary_computer"},
            },
            {"name": "s1", "kwargs": {"bands": ["vv", "vh"]}},
        ],
    }  # fmt: skip
    file = tmp_path / "specs.json"
    file.write_text(json.dumps(specs))
    with caplog.at_level(logging.WARNING):
        fields, _ = read_recipe(file)
    assert fields["catalog"] == "planetary-computer" and "s1" in caplog.text
    specs_here = tmp_path / "here.json"
    specs_here.write_text(json.dumps({**fields, "catalog": items.name}))
    build(tmp_path / "a.nc", recipe_file=str(specs_here))
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert (cube.sizes["x"], cube.sizes["y"], cube.sizes["time"]) == (16, 12, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "is not JSON"),
        ("[1]", "holds no recipe"),
        ('{"colour": "red"}', "Unknown parameter: colour"),
        ('{"start": "2022-01-01"}', "END .* is before START"),
        ('{"extent": [1, 2]}', "EXTENT needs four numbers"),
        ('{"s2_bands": "B02"}', "s2_bands"),
        ('{"catalog": "https://user:secret@example.org/stac"}', "password or a token"),
    ],
)
def test_wrong_recipe_is_one_sentence(tmp_path, recipe, text, words):
    file = tmp_path / "recipe.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        build(tmp_path / "a.nc", recipe, recipe_file=str(file))
    assert "secret" not in str(caught.value)


def test_recipe_that_names_too_little_says_what_is_missing(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text('{"start": "2021-06-01"}')
    with pytest.raises(InputError, match=r"Missing parameter: .*catalog.*extent"):
        build(tmp_path / "a.nc", recipe_file=str(file))


def test_cube_without_a_recipe_is_refused(tmp_path, shared):
    with pytest.raises(InputError, match="holds no recipe"):
        read_recipe(shared / "peers/dataset_export/cube.nc")
