"""Which files are the cubes of a dataset, and what they hold; what is refused of parameters alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from minicuber.core.dataset.cubes import CubeData, checksum_of, labels_of, resolved_cubes
from minicuber.core.dataset.parameters import ExportParameters, checked, checked_split
from minicuber.core.errors import InputError


def test_labels_take_as_many_folders_as_they_need():
    paths = [Path(each) for each in ("/x/a/site.nc", "/x/b/site.nc", "/y/b/site.nc", "/x/other.nc")]
    assert labels_of(paths) == ["a_site", "x_b_site", "y_b_site", "other"]
    assert labels_of([Path("/x/a.nc"), Path("/x/a.zarr")]) == ["x_a_nc", "x_a_zarr"]
    assert labels_of([Path("/x/a.nc")]) == ["a"]


def test_labels_differ_in_more_than_capitals():
    """On Windows and macOS the files of the second cube would have replaced those of the first."""
    assert labels_of([Path("/x/a/Site.nc"), Path("/x/b/site.nc")]) == ["a_Site", "b_site"]
    assert labels_of([Path("/x/A.nc"), Path("/x/a.nc"), Path("/x/a.zarr")]) == ["x_A_nc", "x_a_2", "x_a_zarr"]


def test_a_folder_gives_its_cubes_by_name_and_nothing_twice(make, tmp_path):
    b, a = make("b"), make("a")
    (tmp_path / "cubes" / "notes.txt").write_text("no cube")
    (tmp_path / "cubes" / ".hidden.nc").write_text("no cube")
    assert resolved_cubes([str(tmp_path / "cubes"), str(a)]) == [a, b]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no cube in the folder"):
        resolved_cubes([str(tmp_path / "empty")])


def test_logs_that_name_no_cube_are_refused(tmp_path):
    for text, sentence in (
        ("id,result\n1,a.nc\n", "has no column"),
        ("cube,status\n,failed\n", "names no cube that was built"),
        ("cube\nmissing.nc\n", "does not exist"),
    ):
        (tmp_path / "log.csv").write_text(text)
        with pytest.raises(InputError, match=sentence):
            resolved_cubes([str(tmp_path / "log.csv")])


def test_kinds_are_told_from_names_and_dimensions(make):
    def more(cube):
        cube["s2_filled"] = cube.s2_mask * 0
        cube["clim"] = (("month", "y", "x"), np.zeros((2, 6, 5), "float32"))
        cube["era5_t_daily"] = (("time_daily",), np.zeros(3, "float32"))
        return cube

    with CubeData(make(change=more)) as cube:
        kinds = cube.kinds
        assert kinds.images == ("s2_B04", "s2_ndvi", "s2_mask", "s2_SCL", "s2_avail", "s2_filled")
        assert kinds.weather == ("era5_t", "era5_tp")
        assert kinds.static == ("dem", "forest", "esawc_lc")
        assert {"s2_mask", "s2_SCL", "esawc_lc"} <= kinds.classes
        assert kinds.series == {"s2_avail", "era5_t", "era5_tp"}


def test_dates_that_fall_are_read_in_rising_order(make):
    path = make("down", change=lambda cube: cube.isel(time=slice(None, None, -1)))
    plain = make("up")
    with CubeData(path) as down, CubeData(plain) as up:
        np.testing.assert_array_equal(down.days, up.days)
        place = slice(3, 9), slice(1, 4), slice(0, 5)
        np.testing.assert_array_equal(down.variable("s2_ndvi", *place), up.variable("s2_ndvi", *place))


def test_the_checksum_of_a_zarr_store_is_that_of_its_files(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "a").mkdir(parents=True)
        (tmp_path / name / "a" / "0").write_bytes(b"1234")
    assert checksum_of(tmp_path / "one") == checksum_of(tmp_path / "two")
    (tmp_path / "two" / "a" / "0").rename(tmp_path / "two" / "a" / "1")
    assert checksum_of(tmp_path / "one") != checksum_of(tmp_path / "two")


def test_cubes_of_earthnet_minicuber_are_exported_too(export, samples_of, shared):
    """Dimensions time, lat, lon; masks as floats; no CRS."""
    path = shared / "peers" / "dataset_export" / "cube.nc"
    if not path.is_file():
        pytest.skip("the peers' cubes are not here")
    folder = export(
        path, context=20, target=8, shift=4, season="06-01/09-01", where="FOREST_MASK > 0.5 and to_sample"
    )
    _, arrays = next(iter(samples_of(folder)))
    assert arrays["context_variables"].tolist() == ["s2_B04", "s2_B08", "s2_ndvi"]
    assert arrays["weather_variables"].tolist() == ["era5_t", "era5_tp"]
    with xr.open_dataset(path) as cube:
        lon, lat = arrays["lonlat"]
        place = cube.sel(lon=lon, lat=lat, method="nearest").sel(
            time=slice(arrays["context_time"][0], arrays["context_time"][-1])
        )
        np.testing.assert_array_equal(
            arrays["context"], place[["s2_B04", "s2_B08", "s2_ndvi"]].to_array().values
        )


GOOD = ExportParameters(cubes=("x.nc",), output="y")
BAD = [
    ({"cubes": ()}, "CUBES is missing"),
    ({"output": ""}, "OUTPUT is missing"),
    ({"stride": 0}, "STRIDE is less than 1"),
    ({"shift": -1}, "SHIFT is less than 0"),
    ({"min_seen_target": 1.5}, "MIN_SEEN_TARGET is not a share"),
    ({"unit": "tile"}, "UNIT is not known"),
    ({"unit": "patch", "patch_size": 4, "patch_overlap": 4}, "PATCH_OVERLAP .4. is not smaller"),
    ({"per_class": 3}, "PER_CLASS needs STRATA"),
    ({"strata": "region"}, "STRATA by region needs PLACES"),
    ({"split": "column"}, "SPLIT column needs a layer"),
    ({"split": "temporal"}, "needs val_from or test_from"),
    ({"min_distance": float("nan")}, "MIN_DISTANCE is less than 0"),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=range(len(BAD)))
def test_parameters_that_contradict_themselves_are_refused(given, sentence):
    assert checked(GOOD) is GOOD
    with pytest.raises(InputError, match=sentence):
        checked(replace(GOOD, **given))


OPTIONS = [
    ("random", {"unit": "window"}, "unknown unit"),
    ("random", {"fractions": [0.5, 0.5]}, "three shares"),
    ("random", {"fractions": "many"}, "three shares"),
    ("spatial", {"block_m": "5 km"}, "block_m is not a number"),
    ("spatial", {"buffer_m": -1}, "buffer_m is not a number"),
    ("temporal", {"val_from": "2021-01-01", "test_from": "2020-01-01"}, "is not after val_from"),
    ("temporal", {"val_from": "soon"}, "val_from is not a date"),
    ("kfold", {"folds": 1}, "folds is not a number of at least 2"),
    ("kfold", {"folds": 2.5}, "folds is no whole number"),
    ("none", {"seed": 1}, "SPLIT none takes none"),
]


@pytest.mark.parametrize(("kind", "options", "sentence"), OPTIONS, ids=range(len(OPTIONS)))
def test_split_options_are_checked(kind, options, sentence):
    with pytest.raises(InputError) as error:
        checked_split(kind, options)
    assert sentence in str(error.value)


def test_the_contracts_split_options_are_the_defaults():
    """They are frozen: saved models hold them."""
    assert checked_split("random", {}) == {"fractions": (0.7, 0.15, 0.15), "unit": "cube"}
    assert checked_split("spatial", {}) == {"block_m": 5000, "buffer_m": 1000, "fractions": (0.7, 0.15, 0.15)}
    assert checked_split("kfold", {}) == {"folds": 5, "unit": "cube"}
    p = ExportParameters()
    assert (p.context, p.target, p.stride, p.shift, p.unit, p.split, p.smoothing, p.format) == (
        54, 18, 1, 0, "pixel", "none", "none", "npz",
    )  # fmt: skip


MEMORY = """
import importlib.util, json, resource, sys
root, given = sys.argv[1], json.loads(sys.argv[2])
spec = importlib.util.spec_from_file_location("minicuber", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["minicuber"])
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
run_job("exportdataset", given, Progress())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_cubes(make, tmp_path, root):
    """Of samples, of their index and of what the page shows: 100 MB of samples more."""
    cubes = [
        str(make(f"c{n}", left=400_000.0 + 10_000 * n, shape=(48, 64), n_dates=90, seed=n)) for n in range(10)
    ]
    used = []
    for number in (2, 10):
        given = {
            "cubes": cubes[:number], "output": str(tmp_path / str(number)), "context": 54, "target": 18,
            "format": "npz-sharded", "stride": 2, "page": True,
        }  # fmt: skip
        program = [sys.executable, "-B", "-c", MEMORY, str(root), json.dumps(given)]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        used.append(int(done.stdout) / 1e3)
    assert used[1] - used[0] < 60, f"MB at most: {used}"
