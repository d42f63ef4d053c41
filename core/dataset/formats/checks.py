"""Checks of the formats of others: `seed`, `earthnet2021`, `greenearthnet`, whoever wrote the files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ...errors import MinicuberError
from ...progress import Progress
from ..report_of_faults import Report
from .earthnet_arrays import CELLS, MAPS, REFLECTANCES, SIZE, STEP_DAYS
from .earthnet_weather import E_OBS

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
PLAIN = r"(\d{4})_(\d{1,2})_(\d{1,2})"
SEED_NAME = re.compile(rf"{PLAIN}_{PLAIN}_({NUMBER})_({NUMBER})_(\d+)_(\d+)_(\d+)\.npz")
EXTREMES_NAME = re.compile(rf"{PLAIN}_{PLAIN}_({NUMBER})_({NUMBER})_(\d+)_(\d+)_(min|max)\.npy")
EARTHNET_NAME = re.compile(r"\d{2}[A-Z]{3}_(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)(_-?\d+){8}")
STEPS = 30
# Beyond these a value was not scaled, or is in other units.
SCALED = (-0.5, 2.0)
LIMITS = {
    "fg": (0, 60), "hu": (0, 105), "pp": (850, 1100), "qq": (0, 600), "rr": (0, 1500), "tg": (-80, 60),
    "tn": (-90, 60), "tx": (-80, 65),
}  # fmt: skip


@dataclass
class Loaded:
    """The files of a dataset in turn: `load` reads an npz, or says what is wrong with it."""

    folder: Path
    files: list[str]
    load: Callable[[Path], dict[str, np.ndarray] | str]
    report: Report
    progress: Progress

    def arrays(self, file: str, keys: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        """The arrays of a file, if it can be read and has exactly these keys."""
        self.report.n_files += 1
        found = self.load(self.folder / file)
        if isinstance(found, str):
            self.report.add(file, found)
            return None
        said = f"has the keys {', '.join(sorted(found))} instead of {', '.join(sorted(keys))}"
        return found if self.report.check(set(found) == set(keys), file, said) else None

    def tell(self, number: int, file: str) -> None:
        """Progress, before a file."""
        self.progress.update(number / max(len(self.files), 1), file)


def _are_dates(parts: tuple[str, ...]) -> bool:
    try:
        first, last = (dt.date(*map(int, parts[i : i + 3])) for i in (0, 3))
    except ValueError:
        return False
    return first <= last


def _within(values: np.ndarray, low: float, high: float) -> bool:
    """Whether all finite values lie within limits, and none is infinite."""
    values = values[~np.isnan(values)]
    return not values.size or bool(values.min() >= low and values.max() <= high)


def check_seed(loaded: Loaded) -> None:
    """Samples `{dates}_{lon}_{lat}_{w}_{h}_{shift}.npz` of one shape and type, and extremes that go with them."""
    report, first = loaded.report, {}
    for number, file in enumerate(loaded.files):
        loaded.tell(number, file)
        name = SEED_NAME.fullmatch(file.rpartition("/")[2])
        if report.check(name, file, "is not named by dates, lon, lat, width, height and shift"):
            parts = name.groups()
            right = _are_dates(parts[:6]) and abs(float(parts[6])) <= 360 and abs(float(parts[7])) <= 90
            report.check(right, file, "has a name whose dates or place do not exist")
        arrays = loaded.arrays(file, ("context", "target"))
        if arrays is None:
            continue
        report.n_samples += 1
        plain = all(each.ndim == 2 and each.dtype.kind in "biuf" and each.size for each in arrays.values())
        if not report.check(plain, file, "context and target are not numbers (variable, time)"):
            continue
        context, target = arrays["context"], arrays["target"]
        report.check(
            len(context) == len(target), file, "context and target differ in their number of variables"
        )
        report.check(context.dtype == target.dtype, file, "context and target differ in their type")
        report.check(not any(np.isinf(each).any() for each in arrays.values()), file, "holds infinite values")
        shapes = context.shape, target.shape
        report.check(
            first.setdefault("shapes", shapes) == shapes, file, "has other shapes than the first file"
        )
    _check_extremes(loaded, first["shapes"][0][0] if first else None)


def _check_extremes(loaded: Loaded, n_variables: int | None) -> None:
    found: dict[str, dict[str, np.ndarray]] = {}
    for path in sorted(loaded.folder.rglob("*.npy")):
        file = path.relative_to(loaded.folder).as_posix()
        loaded.report.n_files += 1
        if not loaded.report.check(
            EXTREMES_NAME.fullmatch(path.name),
            file,
            "is not named by dates, lon, lat, width, height and min or max",
        ):
            continue
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            loaded.report.add(file, f"cannot be read: {error}")
            continue
        right = values.ndim == 1 and n_variables in (None, len(values))
        if loaded.report.check(right, file, "has not one value for each variable of the samples"):
            found.setdefault(file[:-8], {})[file[-7:-4]] = values
    for stem, pair in found.items():
        if loaded.report.check(set(pair) == {"min", "max"}, stem, "has only one of _min.npy and _max.npy"):
            loaded.report.check(
                not np.any(pair["min"] > pair["max"]), stem, "has a minimum above its maximum"
            )
    in_train = any(file.startswith("train/") for file in loaded.files)
    has = any(stem.startswith("train/") for stem in found)
    loaded.report.check(
        has or not in_train, "", "the training samples have no _min.npy and _max.npy beside them"
    )


def check_earthnet2021(loaded: Loaded) -> None:
    """Full samples, and those of tests in two files that belong together."""
    report = loaded.report
    pairs: dict[str, set[str]] = {}
    for number, file in enumerate(loaded.files):
        loaded.tell(number, file)
        stem = Path(file).stem
        kind = next((each for each in ("context", "target") if stem.startswith(f"{each}_")), "")
        stem = stem.removeprefix(f"{kind}_") if kind else stem
        report.check(EARTHNET_NAME.fullmatch(stem), file, "is not named by tile, dates and places")
        if kind:
            pairs.setdefault(stem, set()).add(kind)
        keys = ("highresdynamic", "highresstatic", "mesodynamic", "mesostatic")
        arrays = loaded.arrays(file, keys[:1] if kind == "target" else keys)
        if arrays is None:
            continue
        report.n_samples += kind != "target"
        _check_images(arrays["highresdynamic"], kind, file, report)
        if kind != "target":
            _check_meso(arrays, file, report)
    for stem, kinds in pairs.items():
        report.check(len(kinds) == 2, stem, f"has a {min(kinds)} file alone")


def _check_images(images: np.ndarray, kind: str, file: str, report: Report) -> None:
    channels = 5 if kind else 7
    right = images.ndim == 4 and images.shape[:3] == (SIZE, SIZE, channels) and images.dtype.kind == "f"
    if not report.check(right, file, f"highresdynamic is not numbers ({SIZE}, {SIZE}, {channels}, time)"):
        return
    report.check(bool(kind) or images.shape[3] == STEPS, file, f"highresdynamic has not {STEPS} images")
    report.check(_within(images[:, :, :4], 0, 2), file, "reflectance is not within 0 to 2")
    mask = images[:, :, -1]
    report.check(np.isin(mask, (0, 1)).all(), file, "the mask is not 0 or 1 everywhere")
    unseen = np.isnan(images[:, :, :4]).any(axis=2)
    report.check(not (unseen & (mask == 0)).any(), file, "the mask calls missing values good")
    if channels == 7:
        report.check(_within(images[:, :, 4], 0, 100), file, "CLD is not within 0 to 100")
        scl = images[:, :, 5]
        known = np.isin(scl, np.arange(12)) | np.isnan(scl)
        report.check(known.all(), file, "SCL is no class from 0 to 11")


def _check_meso(arrays: dict[str, np.ndarray], file: str, report: Report) -> None:
    weather, images = arrays["mesodynamic"], arrays["highresdynamic"]
    right = weather.ndim == 4 and weather.shape[:3] == (CELLS, CELLS, 5) and weather.dtype.kind == "f"
    if report.check(right, file, f"mesodynamic is not numbers ({CELLS}, {CELLS}, 5, day)"):
        least = STEP_DAYS * (images.shape[-1] if images.ndim == 4 else 1)
        whole = weather.shape[3] >= least and weather.shape[3] % STEP_DAYS == 0
        report.check(whole, file, f"mesodynamic has not {STEP_DAYS} days for each image")
        report.check(_within(weather, *SCALED), file, "mesodynamic is not scaled to 0 to 1")
        mean, low, high = (weather[:, :, channel] for channel in (2, 3, 4))
        turned = (low > mean + 1e-3) | (mean > high + 1e-3)
        report.check(not turned.any(), file, "mesodynamic has a mean temperature beyond minimum and maximum")
    for key, size in (("highresstatic", SIZE), ("mesostatic", CELLS)):
        right = arrays[key].shape == (size, size, 1) and arrays[key].dtype.kind == "f"
        if report.check(right, file, f"{key} is not numbers ({size}, {size}, 1)"):
            report.check(_within(arrays[key], 0.3, 3), file, f"{key} is not (elevation + 2000) / 4000")


def check_greenearthnet(loaded: Loaded) -> None:
    """NetCDF files of 150 days with images on every fifth, and weather in units of E-OBS."""
    report = loaded.report
    for number, file in enumerate(loaded.files):
        loaded.tell(number, file)
        report.n_files += 1
        report.check(EARTHNET_NAME.fullmatch(Path(file).stem), file, "is not named by tile, dates and places")
        try:
            with xr.open_dataset(loaded.folder / file, engine="h5netcdf", decode_timedelta=False) as cube:
                report.n_samples += 1
                _check_green(cube.load(), file, report)
        except (OSError, ValueError, KeyError, RuntimeError, MinicuberError) as error:
            report.add(file, f"cannot be read: {' '.join(str(error).split())}")


def _check_green(cube: xr.Dataset, file: str, report: Report) -> None:
    sizes = {"time": STEPS * STEP_DAYS, "lat": SIZE, "lon": SIZE}
    said = " x ".join(f"{dim} {size}" for dim, size in sizes.items())
    if not report.check(
        all(cube.sizes.get(dim) == size for dim, size in sizes.items()), file, f"is not {said}"
    ):
        return
    images = [*REFLECTANCES, "s2_SCL", "s2_mask", "s2_dlmask"]
    wanted = {
        **{name: {"time", "lat", "lon"} for name in images},
        **{name: {"time"} for name in ("s2_avail", *(f"eobs_{key}" for key in E_OBS))},
        **{name: {"lat", "lon"} for name in MAPS},
    }
    lacking = [name for name in wanted if name not in cube or set(cube[name].dims) != wanted[name]]
    for name in lacking:
        report.add(file, f"has no {name} over {', '.join(sorted(wanted[name]))}")
    days = cube.time.values
    is_daily = days.dtype.kind == "M" and np.all(np.diff(days) == np.timedelta64(1, "D"))
    report.check(is_daily, file, "its times are not days that follow each other")
    for axis in ("lat", "lon"):
        steps = np.diff(cube[axis].values) if axis in cube.coords else np.zeros(1)
        report.check(np.all(steps > 0) or np.all(steps < 0), file, f"{axis} neither rises nor falls")
    on = np.arange(STEPS * STEP_DAYS) % STEP_DAYS == STEP_DAYS - 1
    here = {name: cube[name].transpose("time", "lat", "lon").values for name in images if name not in lacking}
    for name, values in here.items():
        if report.check(values.dtype.kind == "f", file, f"{name} is not float"):
            report.check(np.isnan(values[~on]).all(), file, f"{name} has values on days without an image")
    for name in set(here) & set(REFLECTANCES):
        report.check(_within(here[name], -0.5, 3.3), file, f"{name} is no reflectance (1 is 100 %)")
    for name, classes in (("s2_SCL", 12), ("s2_mask", 5), ("s2_dlmask", 5)):
        if name in here:
            known = np.isin(here[name], np.arange(classes)) | np.isnan(here[name])
            report.check(known.all(), file, f"{name} is no class from 0 to {classes - 1}")
    if "s2_mask" in here and "s2_B04" in here:
        blind = np.isnan(here["s2_B04"][on]) & (here["s2_mask"][on] == 0)
        report.check(not blind.any(), file, "s2_mask calls missing values clear")
    if "s2_avail" not in lacking and "s2_B04" in here:
        seen = np.isfinite(here["s2_B04"]).any(axis=(1, 2))
        report.check(
            not (seen & (cube.s2_avail.values != 1)).any(), file, "s2_avail is not 1 where there is an image"
        )
    _check_weather({key: cube[f"eobs_{key}"] for key in E_OBS if f"eobs_{key}" not in lacking}, file, report)


def _check_weather(weather: dict[str, xr.DataArray], file: str, report: Report) -> None:
    for key, values in weather.items():
        right = _within(values.values, *LIMITS[key])
        report.check(right, file, f"eobs_{key} is not in {E_OBS[key].units}")
    if {"tn", "tg", "tx"} <= set(weather):
        low, mean, high = (weather[key].values for key in ("tn", "tg", "tx"))
        turned = (low > mean + 0.1) | (mean > high + 0.1)
        report.check(not turned.any(), file, "eobs_tg lies beyond eobs_tn and eobs_tx")
