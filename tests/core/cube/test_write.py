"""Both formats hold the same, as plain xarray reads it."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from minicuber.core.cube.encoding import Encoding

from .conftest import DAYS, GRID, values_of


def opened(path, **options):
    engine = "zarr" if path.suffix == ".zarr" else "h5netcdf"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_dataset(path, engine=engine, **options)


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_values_come_back(example, kind):
    with opened(example[kind]) as cube:
        for name, values in values_of().items():
            if name == "s2_image_date":
                assert cube[name].dtype.kind == "M"
                missing = values == -(2**31)
                np.testing.assert_array_equal(np.isnat(cube[name].values), missing)
                days = cube[name].values.astype("datetime64[D]").astype(int)
                np.testing.assert_array_equal(days[~missing], values[~missing])
                continue
            step = {"s2_AOT": 1e-3, "s2_WVP": 1e-3}.get(name, 1e-4)
            exact = values.dtype != np.float64
            np.testing.assert_allclose(cube[name], values, rtol=0, atol=0 if exact else step / 2 + 1e-6)
        assert cube.time.values.astype("datetime64[D]").tolist() == DAYS
        np.testing.assert_array_equal(cube.y, GRID.y)
        np.testing.assert_array_equal(cube.x, GRID.x)
        assert np.isnan(cube.s2_clear_share[2])
        assert np.isnat(cube.s2_time[1])
        assert cube.s2_item_id.values[3] == "item ééé"
        assert cube.time_bnds.dims == ("time", "nv")


def test_both_formats_hold_the_same_stored_numbers_and_attributes(example):
    with opened(example[".nc"], decode_cf=False) as a, opened(example[".zarr"], decode_cf=False) as b:
        assert set(a.variables) == set(b.variables)
        assert dict(a.sizes) == dict(b.sizes)
        assert a.attrs == b.attrs
        assert a.attrs["comment"] == "said late"
        assert "empty" not in a.attrs
        for name in a.variables:
            assert a[name].dims == b[name].dims
            assert a[name].dtype == b[name].dtype or a[name].dtype.kind == "O"
            np.testing.assert_array_equal(a[name].values, b[name].values)
            assert set(a[name].attrs) == set(b[name].attrs), name
            for key, value in a[name].attrs.items():
                np.testing.assert_array_equal(value, b[name].attrs[key], err_msg=f"{name} {key}")


def test_both_formats_decode_to_the_same_with_the_same_chunks_and_fills(example):
    with opened(example[".nc"]) as a, opened(example[".zarr"]) as b:
        for name in a.variables:
            # JSON has doubles alone: rounded to float32 they are the same to the last bit.
            decoded = b[name].values.astype(a[name].dtype)
            np.testing.assert_array_equal(a[name].values, decoded)
            for key in ("_FillValue", "scale_factor", "units", "calendar"):
                one, other = a[name].encoding.get(key), b[name].encoding.get(key)
                assert (one is None) == (other is None), f"{name} {key}"
                assert one is None or one == other or np.isnan(one), f"{name} {key}"
            if a[name].ndim == 3:
                assert (
                    tuple(a[name].encoding["chunksizes"]) == tuple(b[name].encoding["chunks"]) == (32, 64, 64)
                )


def test_plain_xarray_opens_zarr_in_every_way(example):
    with xr.open_zarr(example[".zarr"], chunks=None) as a, opened(example[".zarr"]) as b:
        xr.testing.assert_identical(a, b)


def test_scale_in_zarr_is_the_float32_that_xarray_would_write_itself(example, tmp_path):
    with opened(example[".nc"]) as cube:
        cube[["s2_B02"]].to_zarr(tmp_path / "by_xarray.zarr", zarr_format=2)
    attributes = [
        json.loads((folder / "s2_B02" / ".zattrs").read_text())
        for folder in (tmp_path / "by_xarray.zarr", example[".zarr"])
    ]
    assert attributes[0]["scale_factor"] == attributes[1]["scale_factor"] == float(np.float32(1e-4))


def test_zarr_is_what_every_gdal_reads(example):
    for file in example[".zarr"].glob("*/.zarray"):
        array = json.loads(file.read_text())
        assert (array["zarr_format"], array["compressor"]["id"], array["filters"]) == (2, "zlib", None)
        assert "_ARRAY_DIMENSIONS" in json.loads(file.with_name(".zattrs").read_text())
    fills = {
        name: json.loads((example[".zarr"] / name / ".zarray").read_text())["fill_value"]
        for name in ("s2_B02", "s2_AOT", "s2_SCL", "s2_mask", "s2_image_date", "time", "y", "x", "s2_ndvi")
    }
    assert list(fills.values()) == [-32768, 65535, None, None, -(2**31), None, None, None, "NaN"]
    metadata = json.loads((example[".zarr"] / ".zmetadata").read_text())["metadata"]
    assert metadata["s2_B02/.zattrs"]["resampling"] == "nearest"


def test_every_chunk_of_zarr_is_there_so_that_a_lost_one_can_be_told(tmp_path, make_example, monkeypatch):
    values = values_of()
    values["s2_B02"][:] = np.nan
    monkeypatch.setattr(f"{make_example.__module__}.values_of", lambda *_: values)
    path = make_example(tmp_path / "a.zarr")
    assert len(list((path / "s2_B02").glob("[0-9]*"))) == 2 * 2 * 2


def test_values_that_do_not_fit_are_counted_in_both(tmp_path, make_example, monkeypatch):
    values = values_of()
    values["s2_B02"][0, 0, :3] = 4.0
    monkeypatch.setattr(f"{make_example.__module__}.values_of", lambda *_: values)
    for kind in (".nc", ".zarr"):
        with opened(make_example(tmp_path / f"a{kind}")) as cube:
            assert cube.s2_B02.attrs["n_clipped"] == 3
            assert "n_clipped" not in cube.s2_B03.attrs


def test_missing_floats_become_the_fill_of_whole_numbers():
    stored, _ = Encoding("int32", None, -1).pack(np.array([np.nan, 18_262.0]))
    assert (stored.dtype, stored.tolist()) == (np.int32, [-1, 18_262])


def test_grid_mapping_has_no_geotransform_which_turns_cubes_upside_down_in_gdal_3_12(example):
    for path in example.values():
        with opened(path) as cube:
            assert "GeoTransform" not in cube.spatial_ref.attrs
            assert "crs_wkt" in cube.spatial_ref.attrs
