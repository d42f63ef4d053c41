"""Validators find faults: each is put into a sound dataset, and must be told, with the file that has it."""

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
from minicuber.core.dataset import validate
from minicuber.core.dataset.cubes import CubeData
from minicuber.core.dataset.export import export_dataset
from minicuber.core.dataset.formats import format_of
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.samples import Samples
from minicuber.core.dataset.validate import load, validate_dataset
from minicuber.core.errors import InputError
from minicuber.core.progress import Progress

ROOT = Path(__file__).resolve().parents[3]
FORMATS = ("npz", "npz-sharded", "seed", "earthnet2021", "greenearthnet")


def small_cube() -> xr.Dataset:
    """Two bands, weather and a map."""
    random = np.random.default_rng(0)
    days = np.datetime64("2019-01-05") + 5 * np.arange(60).astype("timedelta64[D]")
    shape = (60, 3, 4)
    return xr.Dataset(
        {
            "s2_B04": (("time", "y", "x"), random.random(shape).astype(np.float32), {"units": "1"}),
            "s2_ndvi": (("time", "y", "x"), random.random(shape).astype(np.float32), {"units": "1"}),
            "era5_t": ("time", random.random(60).astype(np.float32), {"units": "K"}),
            "dem": (("y", "x"), random.random(shape[1:]).astype(np.float32), {"units": "m"}),
            "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32632"}),
        },
        {
            "time": days.astype("datetime64[ns]"),
            "y": 5_200_000 - 20.0 * np.arange(3),
            "x": 400_000 + 20.0 * np.arange(4),
        },
    )


def earthnet_cube() -> xr.Dataset:
    """What both formats of EarthNet need."""
    random = np.random.default_rng(0)
    days = np.datetime64("2020-03-05") + 5 * np.arange(30).astype("timedelta64[D]")
    every = np.arange(days[0] - np.timedelta64(4, "D"), days[-1] + np.timedelta64(1, "D"))
    shape = (30, 128, 128)
    images = {f"s2_{each}": random.random(shape).astype(np.float32) for each in ("B02", "B03", "B04", "B8A")}
    images["s2_B04"][3, 4, 5] = np.nan
    daily = {
        "t": 280.0,
        "t_min": 275.0,
        "t_max": 285.0,
        "tp": 0.003,
        "ap": 101_000.0,
        "sr": 1e7,
        "rh": 70.0,
        "wind_10": 3.0,
    }
    return xr.Dataset(
        {
            **{name: (("time", "y", "x"), values) for name, values in images.items()},
            "s2_SCL": (("time", "y", "x"), random.choice([4, 8], shape).astype(np.uint8)),
            "cop_dem": (("y", "x"), random.uniform(400, 900, shape[1:]).astype(np.float32)),
            **{
                f"era5_{name}_daily": ("time_daily", np.full(150, value, np.float32))
                for name, value in daily.items()
            },
            "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32632"}),
        },
        {
            "time": days.astype("datetime64[ns]"),
            "time_daily": every.astype("datetime64[ns]"),
            "y": 5_240_000 - 20.0 * np.arange(128),
            "x": 400_000 + 20.0 * np.arange(128),
        },
    )


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> dict[str, Path]:
    """A dataset without a fault, by format."""
    folder = tmp_path_factory.mktemp("sound")
    cube = save(small_cube(), folder / "small.nc")
    made = {}
    for name in ("npz", "npz-sharded", "seed"):
        made[name] = folder / name
        export_dataset(
            ExportParameters(
                cubes=(str(cube),), output=str(made[name]), format=name, context=6, target=3, shift=1, stride=4,
                season="06-01/09-01" if name == "seed" else "", split="random",
                split_options={"unit": "pixel", "fractions": [0.5, 0.25, 0.25]},
            ),
            Progress(),
        )  # fmt: skip
    path = save(earthnet_cube(), folder / "earthnet.nc")
    two = np.zeros(2, np.int32)
    samples = Samples(
        two, two, two, np.array([0, 2], np.int8), two.astype(np.int16) - 1, two * 0.0, two * 0.0
    )
    for name in ("earthnet2021", "greenearthnet"):
        made[name] = folder / name
        p = ExportParameters(
            cubes=(str(path),), output="", format=name, context=10, target=20, unit="patch", patch_size=128
        )
        with CubeData(path) as read:
            format_of(name).check(read, p)
            format_of(name).write(read, p, samples, made[name])
    return made


@pytest.fixture
def broken(sound, tmp_path):
    """`broken(format)`: a copy of a dataset, to put a fault into."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(sound[name], tmp_path / name))

    return copy


def faults(folder: Path, name: str) -> str:
    report = validate_dataset(folder, name)
    assert report.is_valid == (not report.faults)
    return "\n".join(f"{fault.file}: {fault.text}" for fault in report.faults)


def rewrite(path: Path, change) -> None:
    """Write an npz anew after `change(arrays)`."""
    with np.load(path) as npz:
        arrays = {key: npz[key] for key in npz}
    change(arrays)
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize("name", FORMATS)
def test_what_we_write_has_no_fault(sound, name):
    report = validate_dataset(sound[name], name)
    assert report.text().endswith("no fault.")
    assert report.n_files and report.n_samples
    if name in ("npz", "npz-sharded", "seed"):
        assert validate_dataset(sound[name]).format == name  # dataset.json says it


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_found(broken, name):
    """A cut or flipped file, one that was never finished, and a folder without files."""
    folder = broken(name)
    ending = "nc" if name == "greenearthnet" else "npz"
    files = sorted(folder.rglob(f"*.{ending}"))
    content = files[0].read_bytes()
    files[0].write_bytes(content[: len(content) // 2])
    (files[0].parent / "left.npz.part").write_bytes(b"x")
    found = faults(folder, name)
    assert f"{files[0].relative_to(folder).as_posix()}: cannot be read" in found
    assert "never finished" in found
    for file in files:
        file.unlink()
    assert "there is no file" in faults(folder, name)


def test_a_flipped_bit_is_found(broken):
    """The checksum in the file, not the look of the values."""
    folder = broken("npz")
    file = sorted(folder.rglob("*.npz"))[0]
    content = bytearray(file.read_bytes())
    content[200] ^= 4
    file.write_bytes(content)
    assert "cannot be read" in faults(folder, "npz")


def test_pickled_arrays_are_found(broken):
    folder = broken("seed")
    file = sorted((folder / "train").glob("*.npz"))[0]
    np.savez_compressed(file, context=np.array([{}], dtype=object), target=np.zeros((3, 3)))
    assert "needs pickle" in faults(folder, "seed")


def setter(key, value):
    return lambda arrays: arrays.__setitem__(key, value(arrays[key]))


def spoiled(key, place, value):
    def change(arrays):
        arrays[key] = arrays[key].copy()
        arrays[key][place] = value

    return change


NPZ_FAULTS = {
    "lacks weather_time": lambda arrays: arrays.pop("weather_time"),
    "context is not float32": setter("context", lambda values: values.astype(np.float64)),
    "context_time is not datetime64": setter("context_time", lambda values: values.astype("datetime64[ns]")),
    "target does not begin after": setter("target_time", lambda values: values - np.timedelta64(40, "D")),
    "context_time does not rise": setter("context_time", lambda values: values[..., ::-1]),
    "as many variables as context_variables": setter("context_variables", lambda values: values[:1]),
    "context_variables has a name twice": setter(
        "context_variables", lambda values: np.array([values[0]] * 2)
    ),
    "target_variables differ": setter("target_variables", lambda values: values[::-1]),
    "as many steps as target_time": setter("target_time", lambda values: values[..., :-1]),
    "infinite": spoiled("target", (..., 0), np.inf),
    "context_filled is not bool": setter("context_filled", lambda values: values.astype(np.uint8)),
    "has not the shape of target": setter("target_filled", lambda values: values[..., :-1]),
    "weather does not have the steps": setter("weather", lambda values: values[..., :-1]),
    "the weather begins before": setter("weather_time", lambda values: values - np.timedelta64(90, "D")),
    "lonlat is no place": setter("lonlat", lambda values: values + 400),
    "marks values that are missing": lambda arrays: arrays.update(
        context=np.full_like(arrays["context"], np.nan), context_filled=np.ones_like(arrays["context_filled"])
    ),
    "there 2 times": None,
}


@pytest.mark.parametrize("name", ["npz", "npz-sharded"])
@pytest.mark.parametrize("said", NPZ_FAULTS)
def test_faults_of_npz(broken, name, said):
    folder = broken(name)
    files = sorted((folder / "train").glob("*.npz"))
    file = files[-1]
    if name == "npz-sharded" and said in ("target_variables differ", "there 2 times"):
        # One shard alone is like itself.
        shutil.copy(file, file.with_name("shard-00099.npz"))
        file = file.with_name("shard-00099.npz")
    change = NPZ_FAULTS[said]
    if change is not None:
        rewrite(file, change)
    elif name == "npz":
        shutil.copy(files[0], files[0].with_name("again.npz"))
    found = faults(folder, name)
    assert said in found


@pytest.mark.parametrize("name", ["npz", "npz-sharded"])
def test_index_and_description_must_agree_with_the_files(broken, name):
    folder = broken(name)
    document = json.loads((folder / "dataset.json").read_text())
    document["counts"]["train"] += 1
    document["parameters"]["context"] = 7
    (folder / "dataset.json").write_text(json.dumps(document))
    file = sorted((folder / "train").glob("*.npz"))[0]
    file.rename(folder / "val" / "moved.npz")
    found = faults(folder, name)
    assert "dataset.json says" in found and "7 steps of dataset.json" in found
    assert f"names train/{file.name}, which is not there" in found
    (folder / "index.gpkg").unlink()
    (folder / "dataset.json").unlink()
    found = faults(folder, name)
    assert "no index.gpkg" in found and "no dataset.json" in found


SEED_FAULTS = {
    "has the keys": lambda arrays: arrays.update(more=np.zeros(3)),
    "not numbers (variable, time)": setter("context", lambda values: values[:, :, None]),
    "differ in their number of variables": setter("target", lambda values: values[:-1]),
    "differ in their type": setter("target", lambda values: values.astype(np.float64)),
    "infinite": spoiled("context", (0, 0), -np.inf),
    "other shapes than the first": setter("context", lambda values: values[:, :-1]),
}


@pytest.mark.parametrize("said", SEED_FAULTS)
def test_faults_of_seed(broken, said):
    folder = broken("seed")
    rewrite(sorted((folder / "train").glob("*.npz"))[-1], SEED_FAULTS[said])
    assert said in faults(folder, "seed")


def test_names_and_extremes_of_seed(broken):
    """The study's models match files by name and normalise by the extremes."""
    folder = broken("seed")
    file = sorted((folder / "train").glob("*.npz"))[0]
    file.rename(file.with_name("2019_2_30_2019_6_4_7.1_46.9_4_3_1.npz"))
    low = next((folder / "train").glob("*_min.npy"))
    high = next((folder / "train").glob("*_max.npy"))
    np.save(low, np.load(low) + 1e6)
    found = faults(folder, "seed")
    assert "dates or place do not exist" in found and "minimum above its maximum" in found
    np.save(high, np.zeros(99))
    assert "one value for each variable" in faults(folder, "seed")
    high.unlink()
    assert "only one of" in faults(folder, "seed")
    low.unlink()
    assert "no _min.npy and _max.npy" in faults(folder, "seed")
    shutil.copy(next((folder / "train").glob("*.npz")), folder / "train" / "sample.npz")
    assert "not named by dates" in faults(folder, "seed")


EARTHNET_FAULTS = {
    "has the keys": lambda arrays: arrays.pop("mesostatic"),
    "highresdynamic is not numbers (128, 128, 7, time)": setter(
        "highresdynamic", lambda v: v.transpose(3, 2, 0, 1)
    ),
    "has not 30 images": setter("highresdynamic", lambda values: values[..., :-1]),
    "reflectance is not within": spoiled("highresdynamic", (0, 0, 0, 0), 4000),
    "mask is not 0 or 1": spoiled("highresdynamic", (0, 0, -1, 0), np.nan),
    "calls missing values good": spoiled("highresdynamic", (slice(None), slice(None), -1), 0),
    "SCL is no class": spoiled("highresdynamic", (0, 0, 5, 0), 4.5),
    "CLD is not within": spoiled("highresdynamic", (0, 0, 4, 0), 130),
    "5 days for each image": setter("mesodynamic", lambda values: values[..., ::5]),
    "not scaled": setter("mesodynamic", lambda values: values * 50),
    "beyond minimum and maximum": setter("mesodynamic", lambda values: values[:, :, [0, 1, 3, 2, 4]]),
    "highresstatic is not (elevation": setter("highresstatic", lambda values: values * 4000 - 2000),
    "mesostatic is not numbers": setter("mesostatic", lambda values: values[:, :, 0]),
}


@pytest.mark.parametrize("said", EARTHNET_FAULTS)
def test_faults_of_earthnet2021(broken, said):
    folder = broken("earthnet2021")
    rewrite(next((folder / "train").rglob("*.npz")), EARTHNET_FAULTS[said])
    assert said in faults(folder, "earthnet2021")


def test_pairs_and_names_of_earthnet2021(broken):
    folder = broken("earthnet2021")
    next((folder / "test" / "target").rglob("*.npz")).unlink()
    file = next((folder / "train").rglob("*.npz"))
    file.rename(file.with_name("cube.npz"))
    found = faults(folder, "earthnet2021")
    assert "has a context file alone" in found and "not named by tile" in found


def of_green(change):
    """Change a file of greenearthnet."""

    def apply(path: Path) -> None:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            cube = stored.load()
        change(cube).to_netcdf(path, engine="h5netcdf")

    return apply


def with_values(name, change):
    def apply(cube):
        cube[name] = (cube[name].dims, change(cube[name].values.copy()))
        return cube

    return of_green(apply)


def put(place, value):
    def change(values):
        values[place] = value
        return values

    return change


GREEN_FAULTS = {
    "is not time 150": of_green(lambda cube: cube.isel(time=slice(0, 149))),
    "has no eobs_qq": of_green(lambda cube: cube.drop_vars("eobs_qq")),
    "not days that follow": of_green(lambda cube: cube.assign_coords(time=cube.time[::-1])),
    "lat neither rises": of_green(lambda cube: cube.assign_coords(lat=np.zeros(128))),
    "without an image": with_values("s2_B02", put((0, 0, 0), 0.5)),
    "is no reflectance": with_values("s2_B02", lambda values: values * 10_000),
    "s2_SCL is no class": with_values("s2_SCL", put((4, 0, 0), 12)),
    "s2_dlmask is no class": with_values("s2_dlmask", put((4, 0, 0), 5)),
    "calls missing values clear": with_values(
        "s2_mask", lambda values: np.where(np.isnan(values), values, 0)
    ),
    "s2_avail is not 1": with_values("s2_avail", lambda values: values * 0),
    "eobs_tg is not in degree": with_values("eobs_tg", lambda values: values + 273.15),
    "eobs_pp is not in hPa": with_values("eobs_pp", lambda values: values * 100),
    "beyond eobs_tn": with_values("eobs_tn", lambda values: values + 30),
}


@pytest.mark.parametrize("said", GREEN_FAULTS)
def test_faults_of_greenearthnet(broken, said):
    folder = broken("greenearthnet")
    GREEN_FAULTS[said](next((folder / "train").rglob("*.nc")))
    assert said in faults(folder, "greenearthnet")


def test_what_cannot_be_checked_is_said(tmp_path, sound):
    with pytest.raises(InputError, match="no folder"):
        validate_dataset(tmp_path / "absent", "npz")
    with pytest.raises(InputError, match=r"no dataset\.json"):
        validate_dataset(sound["greenearthnet"])
    with pytest.raises(InputError, match="no format"):
        validate_dataset(tmp_path, "tfrecord")
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        validate_dataset(tmp_path)


def test_others_may_validate_their_files(shared, tmp_path):
    """Files that the study's own program wrote are sound, without index or description."""
    stored = np.load(shared / "peers" / "dataset_export" / "expected.npz")
    for name in sorted({key.partition("|")[0] for key in stored}):
        if name.endswith(".npy"):
            np.save(tmp_path / name, stored[name])
        else:
            np.savez_compressed(
                tmp_path / name, context=stored[f"{name}|context"], target=stored[f"{name}|target"]
            )
    report = validate_dataset(tmp_path, "seed")
    assert report.is_valid, report.text()
    assert report.n_samples == 324


def test_command(sound, broken, capsys):
    """0 without faults, 1 with faults, 2 where nothing can be checked; the text names file and fault."""
    assert validate.main([str(sound["npz"])]) == 0
    assert "no fault." in capsys.readouterr().out
    folder = broken("npz")
    file = sorted((folder / "train").glob("*.npz"))[0]
    file.write_bytes(b"nothing")
    assert validate.main([str(folder), "npz"]) == 1
    assert file.name in capsys.readouterr().out
    assert validate.main([str(folder / "absent")]) == 2
    assert validate.main([]) == 2
    assert "one of npz" in capsys.readouterr().err


def test_only_so_many_faults_are_kept(broken, monkeypatch):
    """A dataset of a million broken files must not fill the memory."""
    monkeypatch.setattr("minicuber.core.dataset.report_of_faults.MOST", 3)
    folder = broken("npz")
    for file in folder.rglob("*.npz"):
        file.write_bytes(b"nothing")
    report = validate_dataset(folder)
    assert len(report.faults) == 3 < report.n_faults
    assert isinstance(load(file), str)


@pytest.mark.skipif(sys.platform == "win32", reason="the name of the package is made by a link")
def test_command_runs_as_a_module(sound, tmp_path):
    (tmp_path / "minicuber").symlink_to(ROOT)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "minicuber.core.dataset.validate", str(sound["seed"])],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "no fault" in done.stdout, done.stderr
