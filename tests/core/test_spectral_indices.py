"""Indices beside formulas of the literature written here; nothing else of a cube is changed."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import rasterio
import spyndex
import xarray as xr
from cubes import opened, save
from minicuber.core import spectral_catalog
from minicuber.core import spectral_indices as module
from minicuber.core.cube.describe import DescribeParameters, describe_cube
from minicuber.core.errors import Cancelled, InputError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from minicuber.core.spectral_catalog import SENSORS, Index, computed, index_names, indices_of
from minicuber.core.spectral_indices import IndicesParameters, spectral_indices
from pyproj import CRS, Transformer

N_DATES, HEIGHT, WIDTH = 40, 70, 70  # two chunks along each axis
BANDS = ("B02", "B03", "B04", "B08", "B8A", "B11")
FILL = -32768


def example(seed=1) -> xr.Dataset:
    """Packed bands with negatives, missing values and zero denominators; a mask, weather, text, dates, elevation."""
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2019-12-20") + pd.to_timedelta(np.arange(N_DATES) * 5, "D")
    stored = {band: rng.integers(-200, 6000, (N_DATES, HEIGHT, WIDTH)).astype("int16") for band in BANDS}
    stored["B04"][3, 5:9] = FILL
    stored["B08"][4, :, 7] = FILL
    stored["B04"][6, 1, 1], stored["B08"][6, 1, 1] = 500, -500
    stored["B04"][6, 1, 2], stored["B08"][6, 1, 2] = 0, 0
    cube = xr.Dataset(coords={"time": times})
    for band, numbers in stored.items():
        values = np.where(numbers == FILL, np.nan, numbers * np.float32(1e-4)).astype("float32")
        resampling = "bilinear from 20 m" if band == "B11" else "none"
        said = {"long_name": band, "units": "1", "source": "Sentinel-2 L2A", "resampling": resampling}
        cube[f"s2_{band}"] = (("time", "y", "x"), values, {**said, "grid_mapping": "spatial_ref"})
        cube[f"s2_{band}"].encoding = {
            "dtype": "int16",
            "scale_factor": np.float32(1e-4),
            "_FillValue": np.int16(FILL),
        }
    flags = {"flag_values": np.arange(5, dtype="uint8"), "flag_meanings": "a b c d e"}
    cube["s2_mask"] = (("time", "y", "x"), rng.integers(0, 5, stored["B04"].shape).astype("uint8"), flags)
    cube["s2_item_id"] = (("time",), np.array([f"item {n} é" for n in range(N_DATES)], dtype=object))
    cube["s2_time"] = (("time",), times + pd.Timedelta("10h"))
    cube["era5_tp_daily"] = (("time_daily",), rng.gamma(1, 2, 300), {"units": "m"})
    cube["cop_dem"] = (("y", "x"), rng.normal(500, 50, (HEIGHT, WIDTH)).astype("float32"), {"units": "m"})
    cube["orbit"] = ((), np.int32(22))
    cube["spatial_ref"] = ((), np.int32(0), CRS("EPSG:32632").to_cf())
    cube = cube.assign_coords(
        time_daily=pd.date_range("2019-12-01", periods=300),
        y=5_200_015.0 - 10 * np.arange(HEIGHT),
        x=600_005.0 + 10 * np.arange(WIDTH),
    )
    cube.attrs = {
        "title": "An example",
        "history": "2021-01-01T00:00:00Z made by a test",
        "recipe": '{"a": 1}',
    }
    return cube


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The example in both formats, by ending; not to be changed."""
    folder = tmp_path_factory.mktemp("indices")
    return {kind: save(example(), folder / f"valley{kind}") for kind in (".nc", ".zarr")}


@pytest.fixture
def compute(made, tmp_path, request):
    """`compute(indices, output="new.nc", cube=None, **options)`: the new cube, opened by plain xarray."""

    def call(indices="", output="new.nc", cube=None, progress=None, **options):
        path = tmp_path / output
        parameters = IndicesParameters(str(cube or made[".nc"]), indices, output=str(path), **options)
        result = spectral_indices(parameters, progress or Progress())
        assert result.output == str(path)
        found = opened(path, request)
        assert result.n_dates == found.sizes["time"]
        assert set(result.variables) <= set(found.variables)
        return found

    return call


def plain(formula) -> np.ndarray:
    """A formula of bands b, g, r, n, s in plain numpy; what is not finite is missing."""
    cube = example()
    bands = [cube[f"s2_{name}"].values.astype(float) for name in ("B02", "B03", "B04", "B08", "B11")]
    with np.errstate(all="ignore"):
        values = formula(*bands)
    return np.where(np.isfinite(values), values, np.nan)


def ndvi(b, g, r, n, s):
    return (n - r) / (n + r)


LITERATURE = {
    "ndvi": ndvi,  # Rouse et al. 1974
    "evi": lambda b, g, r, n, s: 2.5 * (n - r) / (n + 6 * r - 7.5 * b + 1),  # Huete et al. 2002
    "ndwi": lambda b, g, r, n, s: (g - n) / (g + n),  # McFeeters 1996
    "ndmi": lambda b, g, r, n, s: (n - s) / (n + s),  # Gao 1996
    "savi": lambda b, g, r, n, s: 1.5 * (n - r) / (n + r + 0.5),  # Huete 1988
    "nirv": lambda b, g, r, n, s: n * (n - r) / (n + r),  # Badgley et al. 2017
    # Camps-Valls et al. 2021
    "kndvi": lambda b, g, r, n, s: np.tanh(np.where(n + r == 0, np.nan, (n - r) / (n + r)) ** 2),
}
CONSTANTS = {"SAVI": {"L": 0.5}, "sigma": "mean"}


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_indices_are_those_of_the_literature(compute, made, kind, output):
    found = compute("ndvi, EVI;NDWI NDMI,SAVI,NIRv,kNDVI", output, made[kind], parameters=CONSTANTS)
    for name, formula in LITERATURE.items():
        index, expected = found[f"s2_{name}"], plain(formula)
        assert index.dims == ("time", "y", "x")
        assert index.dtype == np.float32
        assert not {"scale_factor", "add_offset"} & set(index.encoding)
        np.testing.assert_array_equal(np.isnan(index.values), np.isnan(expected), err_msg=name)
        np.testing.assert_allclose(index.values, expected, rtol=1e-6, atol=1e-9, err_msg=name)


def test_missing_bands_and_zero_denominators_are_missing_and_nothing_is_clipped(compute):
    found = compute("NDVI").s2_ndvi
    assert found[3, 5:9].isnull().all() and found[4, :, 7].isnull().all()
    assert found[6, 1, 1].isnull() and found[6, 1, 2].isnull()
    assert found.isnull().mean() < 0.01
    assert float(found.min()) < -1 and float(found.max()) > 1  # of negative reflectance


def test_default_constants_are_those_of_the_catalogue(compute):
    found = compute("SAVI,kNDVI")
    np.testing.assert_allclose(
        found.s2_savi, plain(lambda b, g, r, n, s: 2 * (n - r) / (n + r + 1)), rtol=1e-6, atol=1e-9
    )
    kernel = plain(lambda b, g, r, n, s: np.exp(-((n - r) ** 2) / (2 * 0.5**2)))
    np.testing.assert_allclose(found.s2_kndvi, (1 - kernel) / (1 + kernel), rtol=1e-6, atol=1e-9)
    assert found.s2_savi.attrs["constants"] == "L 1"
    assert found.s2_kndvi.attrs["constants"] == "sigma 0.5"


def test_constant_for_all_and_for_one(compute):
    found = compute("SAVI,EVI", parameters={"L": 0.25, "savi": {"L": 0.5}})
    assert found.s2_savi.attrs["constants"] == "L 0.5"
    assert found.s2_evi.attrs["constants"] == "g 2.5, C1 6, C2 7.5, L 0.25"
    np.testing.assert_allclose(found.s2_savi, plain(LITERATURE["savi"]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_all_else_is_the_same_bit_by_bit(compute, made, output, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    found = compute("NDVI,EVI", output)
    engine = {"engine": "zarr"} if output.endswith(".zarr") else {}
    with (
        xr.open_dataset(made[".nc"], decode_cf=False) as old,
        xr.open_dataset(found.encoding["source"], decode_cf=False, **engine) as new,
    ):
        assert set(new.variables) == {*old.variables, "s2_ndvi", "s2_evi"}
        for name in set(old.variables) - {"time", "time_daily", "x", "y", "spatial_ref", "s2_item_id"}:
            assert new[name].dtype == old[name].dtype, name
            np.testing.assert_array_equal(new[name].values, old[name].values, err_msg=name)
            left_out = {"grid_mapping", "coordinates", "_ARRAY_DIMENSIONS"}
            if engine:  # where the fill is that of the array
                left_out.add("_FillValue")
            assert set(new[name].attrs) - left_out == set(old[name].attrs) - left_out
            for key in set(new[name].attrs) - left_out:
                np.testing.assert_array_equal(new[name].attrs[key], old[name].attrs[key])
    old = example()
    for name in ("time", "time_daily", "x", "y", "s2_item_id", "s2_time", "cop_dem"):
        np.testing.assert_array_equal(found[name], old[name], err_msg=name)
    assert (found.attrs["title"], found.attrs["recipe"]) == ("An example", '{"a": 1}')
    first, second = found.attrs["history"].splitlines()
    assert first == "2021-01-01T00:00:00Z made by a test"
    assert re.fullmatch(
        r"2023-11-14T22:13:20Z minicuber \S+: spectralindices of valley.nc, NDVI, EVI with g 2.5, C1 6, C2 7.5, L 1",
        second,
    )


def test_attributes_say_what_an_index_is_made_of(compute):
    found = compute("NDVI,EVI,NDMI")
    said = found.s2_evi.attrs
    assert said["long_name"] == "Enhanced Vegetation Index"
    assert (said["units"], said["source"], said["resampling"]) == ("1", "Sentinel-2 L2A", "none")
    assert said["formula"] == "g*(N-R)/(N+C1*R-C2*B+L)"
    assert said["bands"] == "N: s2_B08, R: s2_B04, B: s2_B02"
    assert said["references"] == (
        f"https://doi.org/10.1016/S0034-4257(96)00112-5; formula from spyndex {spyndex.__version__}"
    )
    assert "constants" not in found.s2_ndvi.attrs
    assert found.s2_ndvi.attrs["standard_name"] == "normalized_difference_vegetation_index"
    assert found.s2_ndmi.attrs["resampling"] == "s2_B08: none; s2_B11: bilinear from 20 m"
    assert found.s2_ndvi.attrs["grid_mapping"] == "spatial_ref"


def test_what_cleaned_bands_were_fitted_to_goes_on_to_their_indices(compute, tmp_path):
    cube = example()
    cube.s2_B04.attrs |= {"fitted_from": "2019-12-20", "fitted_to": "2020-04-01"}
    cube.s2_B08.attrs |= {"fitted_from": "2019-12-25", "fitted_to": "2020-05-01"}
    found = compute("NDVI,NDWI", cube=save(cube, tmp_path / "clean.nc"))
    assert (found.s2_ndvi.attrs["fitted_from"], found.s2_ndvi.attrs["fitted_to"]) == (
        "2019-12-20",
        "2020-05-01",
    )
    assert found.s2_ndwi.attrs["fitted_to"] == "2020-05-01"


def test_index_of_the_same_name_is_replaced_also_in_the_cube_itself(compute, tmp_path):
    cube = example().assign(s2_ndvi=lambda c: (c.s2_B04 * 0).assign_attrs(long_name="zero", valid_min=3))
    path = save(cube, tmp_path / "own.nc")
    found = compute("NDVI", "own.nc", path)
    np.testing.assert_allclose(found.s2_ndvi, plain(ndvi), rtol=1e-6, atol=1e-9)
    assert "valid_min" not in found.s2_ndvi.attrs
    np.testing.assert_array_equal(found.s2_B04, example().s2_B04)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["own.layers", "own.nc"]


def test_blocks_do_not_matter(compute, monkeypatch):
    whole = compute("NDVI,kNDVI", "a.nc", features=("lonlat",)).load()
    monkeypatch.setattr(module, "CHUNKS", {"time": 7, "y": 11, "x": 64})
    monkeypatch.setattr(module, "COLUMNS", 13)
    parts = compute("NDVI,kNDVI", "b.nc", features=("lonlat",))
    for name in ("s2_ndvi", "s2_kndvi", "lon", "lat"):
        np.testing.assert_array_equal(parts[name], whole[name])


def test_every_index_of_the_catalogue_for_sentinel_2_is_computed():
    rng = np.random.default_rng(3)
    variables = SENSORS[0].bands.values()
    values = {name: rng.uniform(-0.02, 0.6, 50) for name in variables}
    names, bands = [], set(SENSORS[0].bands)
    for name in spyndex.indices:
        if set(spectral_catalog._parts(name)[0]) <= bands and name not in ("BaI", "mSR705", "NIRvP"):
            names.append(name)
    assert len(names) > 200
    for index in indices_of(names, {}, variables, "cube"):
        result = computed(index, values)
        assert result.shape == (50,) and result.dtype == np.float32
        assert np.isfinite(result).any(), index.name


def test_missing_in_a_band_that_does_not_matter_is_missing():
    index = Index("SAVI", SENSORS[0], {"N": "n", "R": "r"}, {"L": -1.0})  # (1 + L) = 0
    values = {"n": np.array([0.5, np.nan, np.inf]), "r": np.array([0.1, 0.1, 0.1])}
    np.testing.assert_array_equal(computed(index, values), [0.0, np.nan, np.nan])


# --- sensors and cubes of others --------------------------------------------------------------------


def test_bands_are_those_of_spyndex():
    for sensor in SENSORS:
        if not sensor.platform:
            continue
        for letter, variable in sensor.bands.items():
            platforms = [spyndex.bands[each] for each in (letter, "N2" if letter == "N" else letter)]
            bands = [
                getattr(each, sensor.platform).band for each in platforms if hasattr(each, sensor.platform)
            ]
            assert re.sub(r"^(s2|ls\d_sr)_B0?", "B", variable) == bands[0], variable


def test_landsat_serves_where_sentinel_2_cannot(compute, tmp_path):
    cube = example()[["s2_B04", "s2_B08", "spatial_ref"]]
    for number, band in {3: "B03", 4: "B04", 5: "B8A", 6: "B11"}.items():
        cube[f"ls8_sr_B{number}"] = example()[f"s2_{band}"]
    found = compute("NDVI,NDMI,NDWI,NDGI", cube=save(cube, tmp_path / "both.nc"))
    assert {"s2_ndvi", "ls8_ndmi", "ls8_ndwi", "ls8_ndgi"} <= set(found)
    assert "ls8_ndvi" not in found
    n, s = (example()[name].values.astype(float) for name in ("s2_B8A", "s2_B11"))
    with np.errstate(all="ignore"):
        expected = (n - s) / (n + s)
    np.testing.assert_allclose(
        found.ls8_ndmi, np.where(np.isfinite(expected), expected, np.nan), rtol=1e-6, atol=1e-9
    )
    # Central wavelengths are those of the sensor.
    assert found.ls8_ndgi.attrs["constants"].startswith("lambdaN 86")


def test_radar(compute, tmp_path):
    cube = example()[["s2_B04", "spatial_ref"]]
    cube["s1_vv"], cube["s1_vh"] = example().s2_B08, example().s2_B03
    found = compute("DpRVIVV", cube=save(cube, tmp_path / "radar.nc"))
    expected = plain(lambda b, g, r, n, s: 4 * g / (n + g))  # as the catalogue has it
    np.testing.assert_allclose(found.s1_dprvivv, expected, rtol=1e-6, atol=1e-9)


def test_cube_of_earthnet_minicuber(compute, tmp_path):
    """Dimensions time, lat, lon; latitudes that rise; floats; no grid mapping."""
    cube = example().drop_vars(["spatial_ref", "era5_tp_daily", "time_daily"])
    cube = cube.rename(y="lat", x="lon").assign_coords(
        lat=47.0 + 0.0002 * np.arange(HEIGHT), lon=7.0 + 0.0003 * np.arange(WIDTH)
    )
    cube.attrs = {"epsg": 4326}
    for variable in cube.variables.values():
        variable.encoding, variable.attrs = {}, {"provider": "Sentinel 2", "description": "a band"}
    found = compute("NDVI", cube=save(cube, tmp_path / "earthnet.nc"), features=("lonlat", "day_of_year"))
    np.testing.assert_allclose(found.s2_ndvi, plain(ndvi)[:, ::-1], rtol=1e-6, atol=1e-9)
    assert found.s2_ndvi.attrs["source"] == "Sentinel 2"
    np.testing.assert_allclose(found.lat[:, 0], cube.lat[::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.lon[0], cube.lon, rtol=0, atol=1e-12)


def test_other_order_of_dimensions_and_of_dates(compute, tmp_path):
    cube = example().drop_vars(["era5_tp_daily", "time_daily"]).isel(time=np.arange(N_DATES)[::-1])
    found = compute(
        "NDVI", cube=save(cube.transpose("y", "x", "time"), tmp_path / "other.nc"), features=("day_of_year",)
    )
    np.testing.assert_allclose(found.sortby("time").s2_ndvi, plain(ndvi), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.sortby("time").doy, example().time.dt.dayofyear)
    np.testing.assert_array_equal(found.sortby("time").s2_B04, example().s2_B04)


def test_hours_and_bounds_of_times_are_kept(compute, tmp_path):
    """Two images of a day stay two, and bounds, which count in the units of their times, stay right."""
    cube = example()
    stamps = cube.time.values + np.arange(N_DATES) % 2 * np.timedelta64(10 * 60 + 30, "m")
    stamps[1] = stamps[0] + np.timedelta64(3, "h")
    cube = cube.assign_coords(time=("time", stamps, {"bounds": "time_bnds"}))
    cube["time_bnds"] = (("time", "nv"), np.stack([stamps - np.timedelta64(1, "D"), stamps], axis=1))
    daily = cube.time_daily.values
    cube.time_daily.attrs["bounds"] = "time_daily_bnds"
    cube["time_daily_bnds"] = (
        ("time_daily", "nv"),
        np.stack([daily, daily + np.timedelta64(1, "D")], axis=1),
    )
    for name in ("time", "time_daily"):
        cube[name].encoding = {"units": "hours since 2019-01-01", "calendar": "standard", "dtype": "float64"}
    path = save(cube, tmp_path / "hours.nc")
    for output in ("new.nc", "new.zarr"):
        found = compute("NDVI", output, path, features=("day_of_year",))
        for name in ("time", "time_bnds", "time_daily", "time_daily_bnds"):
            np.testing.assert_array_equal(found[name], cube[name], err_msg=name)
            assert found[name].dtype.kind == "M"
        assert found.time.attrs["bounds"] == "time_bnds"
        assert found.time_daily.attrs["bounds"] == "time_daily_bnds"
        np.testing.assert_allclose(found.s2_ndvi, plain(ndvi), rtol=1e-6, atol=1e-9)


def test_numbers_that_are_no_reflectance_are_warned_of(compute, tmp_path, caplog):
    cube = example()
    for name in ("s2_B02", "s2_B04", "s2_B08"):
        cube[name] = cube[name] * 10_000
    compute("EVI", cube=save(cube, tmp_path / "numbers.nc"))
    assert "Most values of s2_B04 are above 2" in caplog.text


# --- features ---------------------------------------------------------------------------------------


def test_day_of_year(compute):
    found = compute(features=("day_of_year",))
    days = example().time.dt.dayofyear.values
    assert found.doy.dims == ("time",) and found.doy.dtype == np.int16
    np.testing.assert_array_equal(found.doy, days)
    assert days[2] == 364 and days[3] == 4
    length = np.where(example().time.dt.year == 2020, 366, 365)
    np.testing.assert_allclose(found.doy_sin, np.sin(2 * np.pi * (days - 1) / length), atol=1e-6)
    np.testing.assert_allclose(found.doy_cos, np.cos(2 * np.pi * (days - 1) / length), atol=1e-6)
    assert found.doy_sin.dtype == np.float32


def test_longitudes_and_latitudes_are_those_of_pyproj(compute):
    found = compute("NDVI", features=("lonlat",))
    cube = example()
    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(*np.meshgrid(cube.x, cube.y))
    for name, expected, word in (("lon", lon, "longitude"), ("lat", lat, "latitude")):
        assert found[name].dims == ("y", "x") and found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-12)
        assert found[name].attrs["standard_name"] == word
    assert (found.lon.attrs["units"], found.lat.attrs["units"]) == ("degrees_east", "degrees_north")
    # The cube can be read again, and had its features made anew.
    again = compute("NDWI", "again.nc", found.encoding["source"], features=("lonlat", "day_of_year"))
    assert {"s2_ndvi", "s2_ndwi", "lon", "lat", "doy"} <= set(again)


# --- wrong use ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"indices": ""}, "INDICES is empty. Give names"),
        ({"indices": "NDVJ"}, "no spectral index NDVJ. Did you mean .*NDVI"),
        ({"indices": "__import__('os')"}, "no spectral index __import__"),
        ({"indices": "bai"}, "bai may be BAI or BaI. Write it in capitals"),
        ({"indices": "NDVI,NBR,NDSIWV"}, (
            r"Bands are missing in valley.nc: NBR needs s2_B12 \(S2, Short-wave Infrared \(SWIR\) 2\); "
            r"NDSIWV needs Y, Yellow, which no known sensor's cube has. It has s2_B02, s2_B03, s2_B04, s2_B08"
        )),
        ({"indices": "NIRvP"}, r'NIRvP needs the constant PAR .* Give it in PARAMETERS, for example {"PAR": 1.0}'),
        ({"indices": "NDVI", "parameters": {"L": 0.5}}, "L is no constant of NDVI. They have no constants"),
        ({"indices": "SAVI", "parameters": {"l": 0.5}}, "l is no constant of SAVI. They have L: Canopy"),
        ({"indices": "SAVI", "parameters": {"L": "a"}}, "L is not a number: 'a'"),
        ({"indices": "SAVI", "parameters": {"L": float("nan")}}, "L is not a number: nan"),
        ({"indices": "SAVI", "parameters": {"L": True}}, "L is not a number: True"),
        ({"indices": "SAVI", "parameters": {"EVI": {"L": 1}}}, "EVI is not one of INDICES. These are SAVI"),
        ({"indices": "SAVI", "parameters": {"N": 1}}, "N is no constant of SAVI"),
        ({"indices": "NDVI", "features": ("doy",)}, "Unknown feature: 'doy'. FEATURES are day_of_year, lonlat"),
        ({"indices": "NDVI", "cube": "no/such.nc"}, "CUBE does not exist"),
        ({"indices": "NDVI", "output": "a.tif"}, "does not end in .nc or .zarr"),
    ],
)  # fmt: skip
def test_wrong_value_is_one_sentence_before_any_work(made, tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        spectral_indices(
            IndicesParameters(**{"cube": str(made[".nc"]), "output": "new.nc", **changes}), Progress()
        )
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_cube_without_bands_says_what_it_has(tmp_path):
    path = save(example()[["cop_dem", "s2_mask", "spatial_ref"]], tmp_path / "bare.nc")
    with pytest.raises(InputError, match=r"no band of Sentinel-2, .* its variables are .*cop_dem"):
        spectral_indices(IndicesParameters(str(path), "NDVI", output=str(tmp_path / "new.nc")), Progress())


def test_bands_on_different_axes_are_refused(tmp_path):
    cube = example()[["s2_B04", "s2_B08", "spatial_ref"]].assign(
        s2_B04=lambda c: c.s2_B04.isel(time=0, drop=True)
    )
    with pytest.raises(
        InputError,
        match=r"The bands of NDVI have different dimensions: s2_B08 \(time, y, x\), s2_B04 \(y, x\)",
    ):
        spectral_indices(
            IndicesParameters(str(save(cube, tmp_path / "a.nc")), "NDVI", output=str(tmp_path / "b.nc")),
            Progress(),
        )


def test_names_are_found_in_any_case_and_once():
    assert index_names("ndvi,NDVI, kndvi;evi") == ["NDVI", "kNDVI", "EVI"]
    assert index_names("BaI,BAI") == ["BaI", "BAI"]


def test_two_indices_of_one_name_are_refused():
    bands = list(SENSORS[0].bands.values())
    with pytest.raises(InputError, match="two indices would be called s2_bai"):
        indices_of(["BaI", "BAI"], {}, bands, "cube")


def test_cancel_leaves_nothing(made, tmp_path):
    class Impatient(Progress):
        def show(self, fraction, text):
            if "s2_ndvi" in text:
                self.cancel()

    with pytest.raises(Cancelled):
        spectral_indices(
            IndicesParameters(str(made[".nc"]), "NDVI", output=str(tmp_path / "new.nc")), Impatient()
        )
    assert list(tmp_path.iterdir()) == []


def test_job_by_name_and_layers(made, tmp_path):
    output = str(tmp_path / "new.nc")
    given = {"cube": str(made[".nc"]), "indices": "NDVI,NDWI", "features": ["lonlat"], "output": output}
    result = run_job("spectralindices", given, Progress())
    assert result["variables"] == ("s2_ndvi", "s2_ndwi", "lon", "lat")
    kinds = {layer["variable"]: layer["kind"] for layer in result["layers"]}
    assert (kinds["s2_ndvi"], kinds["s2_ndwi"], kinds["lon"]) == ("index", "moisture", "number")
    described = describe_cube(DescribeParameters(output), Progress())
    assert {layer.variable for layer in described.layers} == set(kinds)
    with rasterio.open(tmp_path / "new.layers" / "s2_ndvi.vrt") as layer:
        assert layer.count == N_DATES
        np.testing.assert_allclose(layer.read(9), plain(ndvi)[8], rtol=1e-6)
