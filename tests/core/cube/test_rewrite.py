"""What a cube's writer remembers is what is found when the cube is opened again."""

from __future__ import annotations

import datetime as dt

import h5netcdf
import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.cube.encoding import flags
from minicuber.core.cube.read import open_raw
from minicuber.core.cube.write import open_cube
from minicuber.core.grid import Grid
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

GRID = Grid("EPSG:32632", 405_000.0, 5_201_000.0, 10.0, 10.0, 150, 140)
RNG = np.random.default_rng(3)


def raster(path, values):
    with rasterio.open(
        path, "w", driver="GTiff", height=GRID.height, width=GRID.width, count=1, dtype=values.dtype, crs=GRID.crs,
        transform=GRID.geobox.transform, nodata=0,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return str(path)


@pytest.fixture(scope="module")
def valley(demo_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("valley") / "valley.nc"
    west, south, east, north = GRID.bounds
    recipe = {
        "extent": [west, east, south, north], "extent_crs": GRID.crs, "start": "2021-06-01", "end": "2021-06-22",
        "catalog": str(demo_data["catalog"]), "s2_bands": ["B02", "B03", "B04", "B08"], "s2_mask": "scl",
    }  # fmt: skip
    order = {"recipe": recipe, "output": str(output), "parts_folder": str(output.parent / "parts")}
    run_job("buildminicube", order, Progress())
    return output


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_layers_of_every_job_are_those_of_the_cube_that_is_opened_again(valley, tmp_path, kind):
    shape = GRID.shape
    height = np.add.outer(np.arange(shape[0]), 3.0 * np.arange(shape[1])).astype("float32") + 300
    numbers = {
        "height": height,
        "noise": RNG.normal(0, 1e-3, shape).astype("float32"),
        "flat": np.full(shape, 7, "float32"),
        "soil": RNG.integers(1, 4, shape).astype("uint8"),
        "lai_20210606": RNG.uniform(0, 6, shape).astype("float32"),
        "lai_20210616": RNG.uniform(0, 6, shape).astype("float32"),
    }
    layers = []
    for title, values in numbers.items():
        path, name = raster(tmp_path / f"{title}.tif", values), title.split("_")[0]
        layers.append({"name": name, "title": title, "source": "test", "path": path})
    layers[3] |= {"classes": True, "legend": {"1": "sand", "2": "clay", "3": "peat"}}
    layers[3] |= {"colours": {"1": "#ffcc00", "2": "#884400", "3": "#222222"}}
    steps = [
        ("attachlayers", {"layers": layers, "date_match": "nearest"}),
        ("terrainvariables", {"dem_variable": "height"}),
        ("spectralindices", {"indices": "NDVI,NDWI", "features": ["day_of_year", "lonlat"]}),
        ("aggregatetime", {"variables": [["s2_ndvi", "max"], ["s2_B04", "mean"]], "step_days": 10}),
    ]
    cube, seen = valley, set()
    for job, order in steps:
        output = tmp_path / f"{job}{kind}"
        result = run_job(job, {"cube": str(cube), "output": str(output), **order}, Progress())
        again = run_job("describecube", {"cube": str(output)}, Progress())
        assert result["layers"] == again["layers"], job
        seen |= {layer["kind"] for layer in again["layers"] if layer["range"] or layer["classes"]}
        cube = output
    assert {"rgb", "reflectance", "index", "moisture", "classes", "number"} <= seen


def written(path):
    """A cube with values and attributes of all kinds; what its writer says of it."""
    dates = [dt.date(2021, 6, day) for day in (1, 6, 11)]
    with open_cube(path, GRID, dates, (), {"title": "Überall", "n": 3, "share": 0.5, "of": [1, 2]}) as cube:
        packed = {
            "scale_factor": np.float32(1e-4),
            "add_offset": np.float64(2),
            "grid_mapping": "spatial_ref",
        }
        cube.create(
            "band",
            {"time": 3, "y": 140, "x": 150},
            "int16",
            -32768,
            **packed,
            valid=np.array([0, 9]),
            odd=True,
        )
        cube.put("band", (slice(0, 2),), RNG.integers(0, 9, (2, *GRID.shape)).astype("int16"))
        cube.add_map("soil", np.ones(GRID.shape, "uint8"), 255, **flags({1: "sand"}), one=np.array([4]))
        cube.add_map(
            "height", np.ones(GRID.shape, "float32"), np.float32(np.nan), words=["a", "b"], word=["c"]
        )
        cube.create("level", {"level": 4}, "float64", None, axis="Z", deep=np.int8(1))
        cube.put("level", (slice(None),), np.arange(4.0))
        cube.create("profile", {"level": 4, "y": 140}, "float32", np.nan)
        cube.add("pairs", ("time", "nv"), [["a", "b"]] * 3)
        cube.add("ends", ("time", "pair"), np.ones((3, 2)))
        cube.add("pair", ("pair",), np.array([1, 2]))  # after a variable over it
        cube.create("nv", {"y": 140}, "float32", np.nan)  # beside the dimension of this name
        cube.put("nv", (slice(None),), np.arange(140))
        cube.add("names", ("time",), ["a", "", "é"], long_name="text")
        cube.add("late", ("pair",), np.array([1, 2]))
        cube.add("share", ("time",), np.array([0.5, np.nan, 1], "float32"))
        cube.describe("band", valid=np.array([0, 8]), later="said")
    return cube.dataset()


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_the_writer_remembers_what_is_found_in_the_file(tmp_path, kind):
    path = tmp_path / f"cube{kind}"
    if kind == ".zarr":
        path.mkdir()
    with written(path) as said, open_raw(path) as found:
        assert list(said.variables) and set(said.variables) == set(found.variables)
        xr.testing.assert_identical(said.load(), found.load())
        for name, variable in found.variables.items():
            assert said[name].dtype == variable.dtype or variable.dtype.kind == "U", name
            for key, value in variable.attrs.items():
                other = said[name].attrs[key]
                assert type(other) is type(value), (name, key)
                assert getattr(other, "dtype", None) == getattr(value, "dtype", None), (name, key)


def test_data_variables_are_those_that_h5netcdf_would_make(tmp_path):
    written(tmp_path / "cube.nc").close()
    with h5netcdf.File(tmp_path / "like.nc", "w") as like, h5py.File(tmp_path / "cube.nc") as made:
        like.dimensions = {"time": 3, "y": 140, "x": 150}
        for name in ("time", "y", "x"):
            like.create_variable(name, (name,), made[name].dtype)
        how = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        like.create_variable("band", ("time", "y", "x"), "int16", fillvalue=-32768, chunks=(3, 64, 64), **how)
    with h5py.File(tmp_path / "like.nc") as like, h5py.File(tmp_path / "cube.nc") as made:
        one, other = like["band"], made["band"]
        for key in (
            "shape",
            "maxshape",
            "dtype",
            "chunks",
            "compression",
            "compression_opts",
            "shuffle",
            "fillvalue",
        ):
            assert getattr(one, key) == getattr(other, key), key
        assert [each[0].name for each in one.dims] == [each[0].name for each in other.dims]
        for key in set(one.attrs) - {"DIMENSION_LIST"}:  # references
            np.testing.assert_array_equal(one.attrs[key], other.attrs[key], err_msg=key)
            assert one.attrs.get_id(key).dtype == other.attrs.get_id(key).dtype, key
        assert one.id.get_create_plist().get_attr_creation_order() == (
            other.id.get_create_plist().get_attr_creation_order()
        )
        assert made["ends"].dims[1][0] == made["late"].dims[0][0] == made["pair"]
