"""The formats of other tools through the whole job, on cubes of this package: files, index and description agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from minicuber.core.dataset.cubes import OpenCubes
from minicuber.core.dataset.formats import seed_arrays
from minicuber.core.dataset.index import read_index
from minicuber.core.dataset.parameters import ExportParameters, checked
from minicuber.core.dataset.validate import validate_dataset
from minicuber.core.errors import InputError, StorageError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

WEATHER = [
    ["t", "mean"], ["t", "min"], ["t", "max"], ["tp", "sum"], ["ap", "mean"], ["sr", "sum"], ["rh", "mean"],
    ["wind_10", "mean"],
]  # fmt: skip
SUMMER = {"format": "seed", "season": "06-01/09-01", "shift": 2}


def test_files_of_samples_that_are_left_out_do_not_stay(make, export):
    """Formats of others wrote a cube's files before MIN_SEEN_TARGET left some out: files that no index names."""
    folder = export(make(n_dates=60, missing=0.4), min_seen_target=0.7, **SUMMER)
    index = read_index(folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.npz")}
    document = json.loads((folder / "dataset.json").read_text())
    assert files == set(index["file"].tolist()) and len(files) == document["n_samples"]
    assert document["dropped"]["samples"]["too few seen values"] > 0
    names = [each["name"] for each in document["variables"]["file"]]
    images = [names.index(name) for name in document["statistics"]["context"]]
    for file in files:
        with np.load(folder / file) as arrays:
            assert np.isfinite(arrays["target"][images]).mean() >= 0.7


def with_numbers(cube: xr.Dataset) -> xr.Dataset:
    """With a number, and one per row."""
    cube["altitude"] = ((), np.float64(512.5))
    cube["band_of_row"] = (("y",), np.arange(cube.sizes["y"], dtype="int16"))
    return cube


def test_seed_takes_numbers_and_rows_that_are_named(make, export):
    """VARIABLES refused what a file of the study holds and the other formats cannot."""
    path = make(n_dates=60, change=with_numbers)
    folder = export(path, variables="s2_ndvi,altitude,band_of_row,era5_t", **SUMMER)
    document = json.loads((folder / "dataset.json").read_text())
    names = [each["name"] for each in document["variables"]["file"]]
    assert sorted(names) == ["altitude", "band_of_row", "era5_t", "s2_ndvi"] and names[-1] == "era5_t"
    assert list(document["statistics"]["context"]) == ["s2_ndvi"]
    index = read_index(folder)
    with xr.open_dataset(path) as cube:
        days = cube.time.values.astype("datetime64[D]")
        for number in range(0, len(index["row"]), 17):
            row, column = index["pixel_row"][number], index["pixel_column"][number]
            at = int(np.searchsorted(days, index["context_start"][number].astype("datetime64[D]")))
            with np.load(folder / str(index["file"][number])) as arrays:
                values = dict(zip(names, arrays["context"], strict=True))
            assert (values["altitude"] == 512.5).all() and (values["band_of_row"] == row).all()
            np.testing.assert_array_equal(values["era5_t"], cube.era5_t.values[at + 2 : at + 8])
            seen = cube.s2_ndvi.values[at : at + 6, row, column]
            np.testing.assert_array_equal(values["s2_ndvi"], seen)


def test_seed_cubes_whose_variables_stand_in_another_order_are_refused(make, export):
    """The files do not name them: half of the samples would have red in the place of the other band."""
    turned = make("b", n_dates=60, left=410_000.0, change=lambda cube: cube[list(cube.data_vars)[::-1]])
    with pytest.raises(InputError, match=r"disagree in the order of their variables: b\.nc"):
        export([make("a", n_dates=60), turned], **SUMMER)


@pytest.mark.parametrize("name", ["earthnet2021", "greenearthnet"])
def test_defaults_become_what_the_format_needs(name):
    p = checked(ExportParameters(cubes=("x.nc",), output="y", format=name))
    assert (p.unit, p.patch_size, p.context, p.target, p.shift) == ("patch", 128, 10, 20, 0)
    assert checked(ExportParameters(cubes=("x.nc",), output="y", format=name, context=12)).context == 12
    assert checked(ExportParameters(cubes=("x.nc",), output="y")).context == 54


@pytest.fixture(scope="module")
def demo_cube(demo_data, tmp_path_factory) -> Path:
    """128 x 128 pixels of 20 m every 5 days with daily weather, from the demo; the sea level pressure is made up."""
    folder = tmp_path_factory.mktemp("earthnet_demo")
    extent, crs = re.fullmatch(r"(.*) \[(.*)\]", demo_data["extent"]).groups()
    recipe = {
        "extent": [float(each) for each in extent.split(",")], "extent_crs": crs, "start": demo_data["start"],
        "end": "2021-02-28", "catalog": demo_data["catalog"], "resolution": 20, "width": 128, "height": 128,
        "s2_bands": ["B02", "B03", "B04", "B8A", "SCL"], "s2_mask": "scl", "time_axis": "regular", "step_days": 5,
        "era5_source": demo_data["era5"], "era5_daily": True, "era5_variables": WEATHER,
    }  # fmt: skip
    run_job("buildminicube", {"recipe": recipe, "output": str(folder / "cube.nc")}, Progress())
    return folder / "cube.nc"


def exported(cube: Path, name: str, folder: Path) -> Path:
    order = {"cubes": [str(cube)], "output": str(folder), "format": name, "stride": 40, "page": True}
    order |= {"split": "temporal", "split_options": {"test_from": "2020-08-01"}}
    assert run_job("exportdataset", order, Progress())["n_samples"] == 2
    assert validate_dataset(folder).is_valid
    assert len(read_index(folder)["file"]) == 2
    assert json.loads((folder / "dataset.json").read_text())["parameters"]["patch_size"] == 128
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_earthnet2021_of_a_built_cube(demo_cube, tmp_path, root):
    """From the demo's scenes to files, with nothing but FORMAT."""
    folder = exported(demo_cube, "earthnet2021", tmp_path / "set")
    (train,) = (folder / "train").rglob("*.npz")
    assert len(list((folder / "test").rglob("*.npz"))) == 2
    with np.load(train) as arrays, xr.open_dataset(demo_cube) as cube:
        images, weather = arrays["highresdynamic"], arrays["mesodynamic"]
        for channel, band in enumerate(("B02", "B03", "B04", "B8A")):
            expected = cube[f"s2_{band}"].isel(time=slice(0, 30)).transpose("y", "x", "time").values
            np.testing.assert_array_equal(images[:, :, channel], np.clip(expected, 0, 2))
        good = (cube.s2_mask == 0) & cube.s2_SCL.isin([1, 2, 4, 5, 6, 7])
        expected = ~good.isel(time=slice(0, 30)).transpose("y", "x", "time").values
        np.testing.assert_array_equal(images[:, :, 6] > 0, expected)
        # The first image's day is the fifth of the weather.
        days = cube.time_daily.values.astype("datetime64[D]")
        first = int(np.searchsorted(days, cube.time.values[0].astype("datetime64[D]"))) - 4
        daily = slice(first, first + 150)
        np.testing.assert_allclose(weather[5, 5, 0], cube.era5_tp_daily.values[daily] * 1000 / 50, atol=1e-6)
        kelvin = cube.era5_t_max_daily.values[daily]
        np.testing.assert_allclose(weather[5, 5, 4], (kelvin - 273.15 + 50) / 100, atol=1e-6)
    link = tmp_path / "minicuber"
    link.symlink_to(root, target_is_directory=True)
    command = [sys.executable, "-B", "-m", "minicuber.core.dataset.validate", str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "no fault" in done.stdout
    train.write_bytes(train.read_bytes()[:-100])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and train.name in done.stdout


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_greenearthnet_of_a_built_cube(demo_cube, tmp_path):
    folder = exported(demo_cube, "greenearthnet", tmp_path / "set")
    (train,) = (folder / "train").rglob("*.nc")
    with xr.open_dataset(train) as green, xr.open_dataset(demo_cube) as cube:
        for band in ("B02", "B03", "B04", "B8A", "SCL"):
            images = green[f"s2_{band}"].isel(time=slice(4, None, 5)).values
            np.testing.assert_array_equal(images, cube[f"s2_{band}"].values[:30].astype("float32"))
        celsius = cube.era5_t_mean_daily.sel(time_daily=green.time.values).values - 273.15
        np.testing.assert_allclose(green.eobs_tg, celsius, atol=1e-4)


def packed_cube(path: Path, name: str) -> None:
    """Write a cube again, deflated, with the bytes of one variable in disorder."""
    import h5py

    with xr.open_dataset(path) as cube:
        cube = cube.load()
    encoding = {each: {"zlib": True} for each in ("s2_B04", "s2_ndvi", "forest")}
    cube.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(range(256))[: min(chunk.size, 256)])


@pytest.mark.parametrize(
    ("name", "more"),
    [("s2_B04", {}), ("s2_B04", SUMMER), ("forest", {"where": "forest > 0"}), ("forest", SUMMER)],
)
def test_a_damaged_cube_is_named_and_not_the_output(make, export, name, more):
    """Its OSError said that the dataset could not be written."""
    packed_cube(path := make("hurt", n_dates=60), name)
    with pytest.raises(StorageError, match=r"hurt\.nc is damaged and cannot be read"):
        export(path, **more)


def test_nothing_stays_of_a_run_that_cannot_succeed(make, export, tmp_path):
    """A hidden folder was left beside OUTPUT, to be continued by a run that would fail again."""
    with pytest.raises(InputError, match="enough seen values"):
        export(make(missing=0.9), min_seen_target=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["cubes"]


@pytest.mark.parametrize("form", ["npz", "seed"])
def test_a_cube_is_opened_once(make, export, monkeypatch, form):
    """Opening takes longer than reading: two passes and the baselines opened it three times."""
    from minicuber.core.dataset import cubes

    opened, real = [], cubes.read_cube
    monkeypatch.setattr(cubes, "read_cube", lambda path: opened.append(path) or real(path))
    more = SUMMER if form == "seed" else {}
    split = {"split": "random", "split_options": {"unit": "pixel"}}
    export([make("a", n_dates=60), make("b", n_dates=60, left=410_000.0)], **split, **more)
    assert len(opened) == 2
    monkeypatch.setattr(OpenCubes, "MOST", 1)
    export([make("a", n_dates=60), make("b", n_dates=60, left=410_000.0)], "again", **split, **more)
    assert len(opened) == 2 + 1 + 3


def test_extremes_are_read_in_pieces(make, monkeypatch):
    """`_min.npy` and `_max.npy` took the whole cube into memory, and xarray kept it."""
    from minicuber.core.cube.read import read_cube

    with read_cube(make()) as cube:
        names = seed_arrays.seed_variables(cube)
        whole = seed_arrays.seed_extremes(cube, names)
        assert not isinstance(cube.variables["s2_ndvi"]._data, np.ndarray)
        monkeypatch.setattr(seed_arrays, "BLOCK_BYTES", 2000)
        pieces = seed_arrays.seed_extremes(cube, names)
    assert whole[0] == pieces[0]
    for one, other in zip(whole[1:], pieces[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def feature(folder: Path, name: str, shift: float) -> str:
    import shapely

    box = shapely.box(7.0, 46.0, 9.0 + shift, 48.0)
    (folder / name).write_text(json.dumps({"wkb": shapely.to_wkb(box).hex(), "value": None}) + "\n")
    return str(folder / name)


def test_places_that_changed_are_read_anew(make, export, tmp_path):
    """A second run in one process, as in a notebook, took the features that the file had before."""
    path = make()
    places = feature(tmp_path, "places.jsonl", 0.0)
    assert len(read_index(export(path, places=places))["row"])
    Path(places).write_text(Path(places).read_text().replace('"value": null', '"value": "a"'))
    feature(tmp_path, "places.jsonl", -1.999999)
    with pytest.raises(InputError, match="No sample is left"):
        export(path, places=places)
