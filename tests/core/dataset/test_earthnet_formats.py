"""The formats of EarthNet, as arrays and as the program `earthnet` reads and scores them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cubes import save
from minicuber.core.dataset.cubes import CubeData
from minicuber.core.dataset.formats import earthnet, format_of
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.samples import Samples
from minicuber.core.errors import InputError
from pyproj import Transformer

ROOT = Path(__file__).resolve().parents[3]
FORMATS = ("earthnet2021", "greenearthnet")
N = 33
LEFT, TOP = 399960.0, 5240000.0
DATES = np.datetime64("2020-03-05") + 5 * np.arange(N).astype("timedelta64[D]")
DAYS = np.arange(DATES[0] - np.timedelta64(4, "D"), DATES[-1] + np.timedelta64(1, "D"))


def example(size=130) -> xr.Dataset:
    """A cube as this package builds it, with ERA5_DAILY; values are told by their position where a test needs it."""
    random = np.random.default_rng(0)
    shape = (N, size, size)
    bands = {
        f"s2_{band}": random.uniform(-0.01, 0.6, shape).astype(np.float32)
        for band in ("B02", "B03", "B04", "B8A")
    }
    bands["s2_B04"][5, 3, 2] = np.nan
    bands["s2_B8A"][6, 10, 10] = 2.7
    scl = random.choice([4, 5, 8, 3, 11], shape, p=[0.6, 0.2, 0.1, 0.05, 0.05]).astype(np.uint8)
    mask = np.select([scl == 8, scl == 3, scl == 11], [1, 2, 3], 0).astype(np.uint8)
    days = np.arange(len(DAYS))
    daily = {
        "t": (280 + days / 10, "K", "mean"),
        "t_min": (275 + days / 10, "K", "min"),
        "t_max": (290 + days / 10, "K", "max"),
        "tp": (days / 10_000, "m", "sum"),
        "ap": (101_000 + days, "Pa", "mean"),
        "sr": (days * 86_400.0, "J m-2", "sum"),
        "rh": (50 + days / 10, "percent", "mean"),
        "wind_10": (days / 100, "m s-1", "mean"),
    }
    maps = {
        "cop_dem": random.uniform(400, 900, shape[1:]),
        "esawc_lc": random.choice([10, 20, 30, 40], shape[1:]),
    }
    return xr.Dataset(
        {
            **{name: (("time", "y", "x"), values) for name, values in bands.items()},
            "s2_SCL": (("time", "y", "x"), scl),
            "s2_mask": (("time", "y", "x"), mask),
            **{name: (("y", "x"), values.astype(np.float32)) for name, values in maps.items()},
            **{
                f"era5_{name}_daily": (
                    "time_daily",
                    values.astype(np.float32),
                    {"units": units, "aggregation": how},
                )
                for name, (values, units, how) in daily.items()
            },
            "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32632"}),
        },
        {
            "time": DATES.astype("datetime64[ns]"),
            "time_daily": DAYS.astype("datetime64[ns]"),
            "y": TOP - 20 * np.arange(size) - 10,
            "x": LEFT + 20 * np.arange(size) + 10,
        },
    )


@pytest.fixture(scope="module")
def cube_path(tmp_path_factory) -> Path:
    return save(example(), tmp_path_factory.mktemp("earthnet") / "cube.nc")


def parameters(name: str, **change) -> ExportParameters:
    usual = {
        "cubes": ("cube.nc",),
        "output": "out",
        "context": 10,
        "target": 20,
        "unit": "patch",
        "patch_size": 128,
    }
    return ExportParameters(format=name, **{**usual, **change})


def four_samples() -> Samples:
    """A training, a validation and two test samples; none begins at the cube's corner or first step alone."""
    numbers = np.array([[0, 1, 0, 1], [0, 2, 2, 1], [0, 1, 2, 3], [0, 1, 2, 2]])
    row, column, start, split = numbers
    return Samples(
        row.astype(np.int32), column.astype(np.int32), start.astype(np.int32), split.astype(np.int8),
        np.full(4, -1, np.int16), np.zeros(4), np.zeros(4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(cube_path, tmp_path_factory) -> dict[str, tuple[Path, list[str]]]:
    """By format: the folder and the files of `four_samples`."""
    made = {}
    for name in FORMATS:
        folder = tmp_path_factory.mktemp(name)
        with CubeData(cube_path) as cube:
            writer = format_of(name)
            writer.check(cube, parameters(name))
            starts = writer.windows(cube, parameters(name), np.arange(4))
            assert starts.tolist() == [0, 1, 2, 3]
            files = writer.write(cube, parameters(name), four_samples(), folder)
            content = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            assert writer.write(cube, parameters(name), four_samples(), folder) == files
        assert content == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        made[name] = folder, files
    return made


def test_training_file_of_earthnet2021(written):
    """Seven channels in this order, 30 images, 150 days: a wrong axis or channel would be learned silently."""
    folder, files = written["earthnet2021"]
    cube = example()
    with np.load(folder / files[1], allow_pickle=False) as npz:
        arrays = {key: npz[key] for key in npz}
    assert {key: each.shape for key, each in arrays.items()} == {
        "highresdynamic": (128, 128, 7, 30), "highresstatic": (128, 128, 1),
        "mesodynamic": (80, 80, 5, 150), "mesostatic": (80, 80, 1),
    }  # fmt: skip
    part = cube.isel(time=slice(1, 31), y=slice(1, 129), x=slice(2, 130))
    images = arrays["highresdynamic"]
    for channel, name in enumerate(("s2_B02", "s2_B03", "s2_B04", "s2_B8A")):
        expected = np.clip(part[name].transpose("y", "x", "time").values, 0, 2)
        np.testing.assert_array_equal(images[:, :, channel], expected)
    assert np.isnan(images[2, 0, 2, 4]) and images[9, 8, 3, 5] == 2
    assert np.isnan(images[:, :, 4]).all()  # no cloud probability in the cube
    np.testing.assert_array_equal(images[:, :, 5], part.s2_SCL.transpose("y", "x", "time"))
    bad = ~part.s2_SCL.isin([4, 5]) | part.s2_B04.isnull()
    np.testing.assert_array_equal(images[:, :, 6], bad.transpose("y", "x", "time"))
    assert arrays["highresstatic"][5, 7, 0] == pytest.approx((cube.cop_dem.values[6, 9] + 2000) / 4000)
    assert arrays["mesostatic"][0, 0, 0] == pytest.approx(arrays["highresstatic"].mean(), rel=1e-5)
    assert all(each.dtype == np.float32 for each in arrays.values())


def test_weather_is_that_of_the_days_that_end_on_the_image(written):
    """Day 4 belongs to image 0: the seed of this project had the days after the image."""
    folder, files = written["earthnet2021"]
    with np.load(folder / files[1]) as npz:
        weather = npz["mesodynamic"]
    day = 5 + 4  # of the cube's daily series: the sample begins one image later
    assert (weather == weather[:1, :1]).all()
    rr, pp, tg, tn, tx = weather[0, 0, :, 4]
    assert 50 * rr == pytest.approx(day / 10, abs=1e-5)
    assert 200 * pp + 900 == pytest.approx(1010 + day / 100, abs=1e-3)
    for value, base in ((tg, 280), (tn, 275), (tx, 290)):
        assert 50 * (2 * value - 1) == pytest.approx(base + day / 10 - 273.15, abs=1e-3)


def test_test_files_are_in_two(written):
    """Models see the context's images and all the weather; targets are apart, five channels, mask last."""
    folder, files = written["earthnet2021"]
    assert [file.split("/")[0] for file in files] == ["train", "val", "test", "test"]
    context = folder / files[2]
    target = folder / files[2].replace("context/", "target/").replace("context_", "target_")
    with np.load(context) as first, np.load(target) as second:
        assert first["highresdynamic"].shape == (128, 128, 5, 10)
        assert first["mesodynamic"].shape == (80, 80, 5, 150)
        assert list(second) == ["highresdynamic"]
        assert second["highresdynamic"].shape == (128, 128, 5, 20)
        mask = np.concatenate([first["highresdynamic"], second["highresdynamic"]], axis=3)[:, :, 4]
        blue = second["highresdynamic"][:, :, 0, 0]
    part = example().isel(time=slice(2, 32), y=slice(0, 128), x=slice(2, 130))
    bad = ~part.s2_SCL.isin([4, 5]) | part.s2_B04.isnull()
    np.testing.assert_array_equal(mask, bad.transpose("y", "x", "time"))
    np.testing.assert_array_equal(blue, np.clip(part.s2_B02.values[10], 0, 2))


def test_file_of_greenearthnet(written):
    """150 days, images on every fifth, arrays as they were stored, exact places beside the nominal ones."""
    folder, files = written["greenearthnet"]
    cube = example()
    with xr.open_dataset(folder / files[1], engine="h5netcdf") as green:
        assert dict(green.sizes) == {"time": 150, "lat": 128, "lon": 128}
        assert green.time.values[4] == DATES[1] and green.time.values[-1] == DATES[30]
        part = cube.isel(time=slice(1, 31), y=slice(1, 129), x=slice(2, 130))
        on = green.isel(time=slice(4, None, 5))
        for name in ("s2_B02", "s2_B03", "s2_B04", "s2_B8A", "s2_SCL"):
            assert green[name].dtype == np.float32
            np.testing.assert_array_equal(on[name], part[name].values)
            assert np.isnan(green[name].isel(time=slice(0, 4))).all()
        expected = np.where(part.s2_B04.isnull(), 4, part.s2_mask)
        np.testing.assert_array_equal(on.s2_mask, expected)
        np.testing.assert_array_equal(on.s2_dlmask, expected)
        assert green.s2_avail.values.tolist() == [float(day % 5 == 4) for day in range(150)]
        np.testing.assert_array_equal(green.cop_dem, part.cop_dem)
        assert np.isnan(green.nasa_dem).all() and "missing" in green.nasa_dem.attrs["comment"]
        # The weather, in units of E-OBS, and where it is from.
        day = 5 + 4
        expected = {"rr": day / 10, "pp": 1010 + day / 100, "tg": 6.85 + day / 10, "tn": 1.85 + day / 10}
        expected |= {"tx": 16.85 + day / 10, "qq": day, "hu": 50 + day / 10, "fg": day / 100}
        units = {"rr": "mm", "pp": "hPa", "qq": "W m-2", "hu": "percent", "fg": "m s-1"}
        for key, value in expected.items():
            assert float(green[f"eobs_{key}"][4]) == pytest.approx(value, abs=1e-3), key
            assert green[f"eobs_{key}"].attrs["units"] == units.get(key, "degree_Celsius")
            assert "ERA5" in green[f"eobs_{key}"].attrs["comment"]
        # Places: exact ones, and nominal ones from the centre row and column.
        np.testing.assert_array_equal(green.x, part.x)
        np.testing.assert_array_equal(green.y, part.y)
        assert "32N" in green.spatial_ref.attrs["crs_wkt"]
        lonlat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform
        assert float(green.lon[3]) == pytest.approx(lonlat(float(part.x[3]), float(part.y[64]))[0], abs=1e-9)
        assert float(green.lat[3]) == pytest.approx(lonlat(float(part.x[64]), float(part.y[3]))[1], abs=1e-9)


def test_names_are_those_of_earthnet(written):
    """The program `earthnet` takes tile, dates and places from the name; (0, 0) of the cube lies in tile 32TLT."""
    _, files = written["greenearthnet"]
    tile, first, last, *numbers = Path(files[0]).stem.split("_")
    assert Path(files[0]).parent.name == tile == "32TLT"
    assert (first, last) == ("2020-03-01", "2020-07-28")
    rows, columns = (5_300_000 - 5_240_000) // 20, (399_960 - 300_000) // 20
    assert [int(each) for each in numbers[:4]] == [rows, rows + 128, columns, columns + 128]
    assert int(numbers[5]) - int(numbers[4]) == int(numbers[7]) - int(numbers[6]) == 80


@pytest.mark.parametrize(
    ("lon", "lat", "square"),
    [(7.44, 46.95, "32TLT"), (10.41, 63.43, "32VNR"), (5.32, 60.39, "32VKN"), (-0.13, 51.5, "30UXC"),
     (151.21, -33.87, "56HLH"), (18.42, -33.92, "34HBH"), (15.64, 78.22, "33XWG"), (-70.65, -33.45, "19HCC")],
)  # fmt: skip
def test_squares_of_known_places(lon, lat, square):
    """Bern, Trondheim and Bergen (zone 32 by exception), London, Sydney, Cape Town, Svalbard, Santiago."""
    name, east, south = earthnet.mgrs_place(lon, lat)
    assert name == square
    assert 0 <= east < 100_000 and 0 < south <= 100_000


def changed(cube: xr.Dataset, what: str) -> xr.Dataset:
    """The cube with one fault."""
    if what == "resolution":
        return cube.assign_coords(x=LEFT + 10 * np.arange(130), y=TOP - 10 * np.arange(130))
    if what == "size":
        return cube.isel(x=slice(0, 127))
    if what == "axis":
        return cube.isel(time=[0, 1, 2, *range(4, N)])
    if what == "degrees":
        places = {"x": 7 + 0.0002 * np.arange(130), "y": 47 - 0.0002 * np.arange(130)}
        return cube.assign_coords(places).assign(spatial_ref=((), 0, {"crs_wkt": "EPSG:4326"}))
    if what == "units":
        cube["era5_tp_daily"].attrs["units"] = "mm"
        return cube
    if what == "aggregation":  # the only temperature is a maximum, whatever its name
        cube["era5_t_daily"].attrs["aggregation"] = "max"
        return cube.drop_vars(["era5_t_max_daily"])
    return cube.drop_vars(what.split())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("resolution", "RESOLUTION 20"), ("size", "WIDTH 128"), ("axis", "TIME_AXIS regular"),
        ("degrees", "RESOLUTION 20"), ("s2_B8A", "s2_B8A"), ("s2_SCL", "S2_BANDS"), ("units", "needs m"),
        ("era5_ap_daily", "era5_ap"), ("aggregation", r"era5_t \(mean\)"),
        (" ".join(f"era5_{each}_daily" for each in ("t", "t_min", "t_max", "tp", "ap", "sr", "rh", "wind_10")),
         "ERA5_DAILY"),
    ],
)  # fmt: skip
def test_cubes_that_do_not_suit_are_refused(tmp_path, name, what, said):
    """A file that only looks right is worse than none: the error says what is missing and how to build it."""
    path = save(changed(example(), what), tmp_path / "cube.nc")
    with CubeData(path) as cube, pytest.raises(InputError, match=said) as raised:
        format_of(name).check(cube, parameters(name))
    assert raised.value.hint


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "change",
    [{"unit": "pixel"}, {"patch_size": 64}, {"context": 54, "target": 18}, {"shift": 3}, {"variables": "s2_B04"},
     {"smoothing": "context"}],
)  # fmt: skip
def test_parameters_that_do_not_suit_are_refused(cube_path, name, change):
    with CubeData(cube_path) as cube, pytest.raises(InputError, match=name):
        format_of(name).check(cube, parameters(name, **change))


def test_windows_without_weather_are_left_out(tmp_path, cube_path):
    """A day that is missing in the middle would be NaN in the file."""
    cube = example().isel(time_daily=[day for day in range(len(DAYS)) if day not in (2, 163)])
    with CubeData(save(cube, tmp_path / "cube.nc")) as read:
        found = format_of("greenearthnet").windows(read, parameters("greenearthnet"), np.arange(4))
    assert found.tolist() == [1, 2]


def test_without_a_mask_the_classes_tell(tmp_path):
    """Old cubes have SCL alone; with a cloud probability it is channel 4."""
    cube = example().drop_vars("s2_mask")
    cube["s2_CLD"] = cube.s2_SCL.astype(np.float32) * 9
    with CubeData(save(cube, tmp_path / "cube.nc")) as read:
        files = format_of("earthnet2021").write(read, parameters("earthnet2021"), four_samples(), tmp_path)
    with np.load(tmp_path / files[0]) as npz:
        images = npz["highresdynamic"]
    part = cube.isel(time=slice(0, 30), y=slice(0, 128), x=slice(0, 128))
    bad = ~part.s2_SCL.isin([4, 5]) | part.s2_B04.isnull()
    np.testing.assert_array_equal(images[:, :, 6], bad.transpose("y", "x", "time"))
    np.testing.assert_array_equal(images[:, :, 4], 9 * images[:, :, 5])


SCRIPT = """
import json, sys, shutil, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import earthnet, numpy as np, xarray as xr
green, npz, work = map(Path, sys.argv[1:4])
out = {}
file = sorted((green / "val").rglob("*.nc"))[0]
fake = earthnet.load_en21x_as_npz(str(file))
true = np.load(sorted((npz / "val").rglob("*.npz"))[0])
out["shapes"] = {k: list(v.shape) for k, v in fake.items()}
a, b = fake["highresdynamic"], true["highresdynamic"][:, :, [0, 1, 2, 3, 6]]
a = np.clip(a, 0, 2)
out["images"] = float(np.nanmax(np.abs(a - b)))
out["nan"] = bool((np.isnan(a) == np.isnan(b)).all())
out["weather"] = float(np.abs(fake["mesodynamic"] - true["mesodynamic"]).max())
out["static"] = float(np.abs(fake["highresstatic"] - true["highresstatic"]).max())
out["mesostatic"] = float(np.abs(fake["mesostatic"] - true["mesostatic"]).max())
# NNSE of a perfect and of a bad forecast
for name, factor in (("perfect", 1.0), ("bad", 0.0)):
    for path in sorted((green / "test").rglob("*.nc")):
        cube = xr.open_dataset(path)
        part = cube.isel(time=slice(4, None, 5)).isel(time=slice(10, None))
        ndvi = (part.s2_B8A - part.s2_B04) / (part.s2_B8A + part.s2_B04 + 1e-8)
        there = work / name / path.parent.name / path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        xr.Dataset({"ndvi_pred": (ndvi * factor).fillna(0)}).to_netcdf(there)
    scores = earthnet.score_over_dataset(str(green / "test"), str(work / name), verbose=False)
    out[name] = float(scores["veg_score"])
    out["landcover"] = sorted(set(scores["all_scores"].landcover.tolist()))
# EarthNetScore: matches files by name
for path in sorted((npz / "test/target").rglob("*.npz")):
    there = work / "ens" / path.parent.name / path.name.replace("target_", "")
    there.parent.mkdir(parents=True, exist_ok=True)
    images = np.load(path)["highresdynamic"][:, :, :4]
    np.savez_compressed(there, highresdynamic=np.nan_to_num(images))
# scikit-image of today wants to be told the range of floats, which it took for 2 when earthnet was written.
metrics = earthnet.parallel_score.metrics
ssim = metrics.structural_similarity
metrics.structural_similarity = lambda a, b: ssim(a, b, data_range=2.0)
score = earthnet.EarthNetScore(str(work / "ens"), str(npz / "test"))
out["pairs"] = len(score.filepaths)
score.compute_scores(n_workers=0)
out["ens"] = [float(each) for each in score.summarize()]
box = earthnet.get_coords_from_cube(sorted((npz / "train").rglob("*.npz"))[0].name, ignore_warning=True)
out["box"] = [float(each) for each in box]
print("RESULT" + json.dumps(out))
"""


def runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture(scope="session")
def earthnet_python() -> Path:
    """A Python with the program `earthnet`, which needs numpy before 2, in an environment of its own."""
    folder = ROOT / "build" / "earthnet"
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / "ready"
    if ready.exists() and python.exists():
        return python
    # The newest Python for which there are wheels of numpy 1.
    names = [f"python3.{minor}" for minor in (12, 11, 10)]
    base = next(
        (name for name in names if shutil.which(name) and runs([name, "-c", "import ensurepip"])), None
    )
    if base is None:
        pytest.skip(f"earthnet needs numpy<2, for which none of {', '.join(names)} is here")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in (
        [base, "-m", "venv", str(folder / "venv")],
        [str(python), "-m", "pip", "install", "-q", "earthnet==0.3.11", "numpy<2", "netCDF4", "matplotlib"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.skip(
                f"earthnet cannot be installed from the package index: {done.stderr.strip().splitlines()[-1:]}"
            )
    ready.touch()
    return python


@pytest.mark.network
def test_the_program_earthnet_reads_and_scores_it(written, earthnet_python, tmp_path):
    """What made the formats known reads both, finds them equal, and gives a perfect forecast a perfect score."""
    folders = [str(written[name][0]) for name in ("greenearthnet", "earthnet2021")]
    done = subprocess.run(
        [str(earthnet_python), "-I", "-c", SCRIPT, *folders, str(tmp_path)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.split("RESULT")[1])
    print(found)
    assert found["shapes"] == {
        "highresdynamic": [128, 128, 5, 30], "highresstatic": [128, 128, 1],
        "mesodynamic": [80, 80, 5, 150], "mesostatic": [80, 80, 1],
    }  # fmt: skip
    assert found["nan"] and found["images"] == 0
    assert max(found["weather"], found["static"], found["mesostatic"]) < 1e-6
    assert found["perfect"] == pytest.approx(1) and found["bad"] < 0.5
    assert found["landcover"] == [10, 20, 30, 40]
    assert found["pairs"] == 2
    # Of noise, trend and distribution depend on which days are masked; value and structure do not.
    ens, value, _, _, structure = found["ens"]
    assert ens > 0.3 and value == pytest.approx(1)
    assert np.isnan(structure) or structure == pytest.approx(1)
    west, south, east, north = found["box"]
    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(
        LEFT + 1280, TOP - 1280
    )
    assert west - 0.02 < lon < east + 0.02 and south - 0.02 < lat < north + 0.02
