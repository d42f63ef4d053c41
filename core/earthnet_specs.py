"""The `specs` dictionary of earthnet-minicuber as fields of our `Recipe`, and what of it has no counterpart.

Two things differ for every specs and are therefore said here, not in the list of each conversion: the grid is
an exact UTM lattice of exactly `xy_shape` pixels where the original spans an approximate grid of longitudes
and latitudes, and values follow the recipe's rules of resampling where the original always interpolates.
"""

from __future__ import annotations

import datetime as dt
import reprlib
import sys
from typing import Any

from .errors import InputError

SPECS_KEYS = ["lon_lat", "xy_shape", "resolution", "time_interval", "full_time_interval"]
SPECS_KEYS += ["providers", "primary_provider", "other_providers"]
DEFAULT_BANDS = [*("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08"), *("B8A", "B09", "B11", "B12")]
DEFAULT_BANDS += ["AOT", "WVP"]
BANDS = [*DEFAULT_BANDS, "SCL"]
# The original's "dea" is Digital Earth Africa; ours of that name would be Australia's. Of Element84's API
# the original asks version 0, we its successor.
CATALOGS = {
    "planetary_computer": "planetary-computer",
    "element84": "earth-search/sentinel-2-l2a",
    "dea": "deafrica/s2_l2a",
}
STEP_DAYS = 5

# Provider -> its data and the variables that a cube of the original has from it; both forks.
OTHER_PROVIDERS = {
    "s1": ("Sentinel-1 backscatter", "s1_*"),
    "ndviclim": ("the NDVI climatology of Digital Earth Africa", "ndviclim_*"),
    "srtm": ("the SRTM elevation model", "srtm_dem"),
    "cop": ("the Copernicus elevation model", "cop_dem"),
    "nasa": ("the NASADEM elevation model", "nasa_dem"),
    "alos": ("the ALOS elevation model", "alos_dem"),
    "esawc": ("ESA WorldCover", "esawc_lc"),
    "sg": ("SoilGrids", "sg_*"),
    "geom": ("Geomorpho90m", "geom_cls"),
    "ls": ("Landsat", "ls*"),
    "era5": ("ERA5", "era5_*"),
    "era5land": ("ERA5-Land", "era5land_*"),
    "era5_old": ("ERA5-Land", "era5land_*"),
    "era5esdl": ("daily ERA5 of the XAIDA project", "era5_*"),
}

# Switch of the s2 provider -> its default, the value that has no counterpart, and what happens instead.
SWITCHES = {
    "best_orbit_filter": (True, True, "all dates with images stay, and s2_relative_orbit names their orbits"),
    "five_daily_filter": (False, None, ""),
    "brdf_correction": (True, True, "reflectance is not corrected to a nadir view"),
    "cloud_mask": (True, True, "s2_mask comes from the scene classification (SCL), not from deep learning"),
    "correct_processing_baseline": (True, False, "the offset of newer processing baselines always goes"),
    "s2_avail_var": (True, False, "s2_avail is always written"),
}
S2_KEYS = ["bands", "aws_bucket", "cloud_mask_rescale_factor", *SWITCHES]


def is_specs(values: Any) -> bool:
    """Whether a dictionary means to be a specs dictionary, not a recipe; it may still be a malformed one."""
    # Recipes share the key "resolution", and every recipe has an extent.
    marks = set(SPECS_KEYS) - {"resolution"}
    return isinstance(values, dict) and "extent" not in values and any(key in marks for key in values)


def recipe_of_specs(specs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Fields of `Recipe` as plain JSON values, and a sentence for each thing that has no counterpart.

    Lists and tuples are alike. The extent is a point, longitude and latitude in degrees. A field that the
    specs do not determine is left out. Raises `InputError` for malformed specs, naming the key, and for specs
    without the provider "s2".
    """
    _check(isinstance(specs, dict), f"The specs are not a dictionary: {_shown(specs)}.")
    missing = [key for key in ("lon_lat", "xy_shape", "resolution", "time_interval") if key not in specs]
    _check(not missing, f"The specs have no {' and no '.join(missing)}.", "Each specs dictionary needs it.")
    lon, lat = _lon_lat(specs["lon_lat"])
    width, height = _xy_shape(specs["xy_shape"])
    start, end = _interval(specs["time_interval"], "time_interval")
    resolution = specs["resolution"]
    _check(
        _is_number(resolution) and resolution > 0,
        f"resolution is not a positive number: {_shown(resolution)}.",
        "Give metres, for example 20.",
    )
    fields = {"extent": [lon, lon, lat, lat], "extent_crs": "EPSG:4326", "width": width, "height": height}
    fields |= {"resolution": float(resolution), "start": start.isoformat(), "end": end.isoformat()}
    notes = _unknown(specs, SPECS_KEYS, "the specs")
    whole = _interval(specs.get("full_time_interval", specs["time_interval"]), "full_time_interval")
    if whole != (start, end):
        notes.append("full_time_interval has no counterpart: dates are counted and taken in time_interval.")

    s2 = None
    for name, kwargs in _providers(specs, notes):
        if name == "s2" and s2 is None:
            s2 = kwargs
        elif name == "s2":
            notes.append("A second provider 's2' has no counterpart: only the first one is used.")
        elif name in OTHER_PROVIDERS:
            data, variables = OTHER_PROVIDERS[name]
            notes.append(f"Provider '{name}' ({data}) has no counterpart yet: the cube has no {variables}.")
        else:
            notes.append(f"Provider {_shown(name)} is unknown and ignored.")
    _check(
        s2 is not None,
        "The specs have no provider 's2'.",
        "A cube has the dates of its Sentinel-2 images: add a provider 's2' with the bands that you need.",
    )
    return fields | _s2_fields(s2, (end - start).days + 1, notes), notes


def _s2_fields(kwargs: dict[str, Any], days: int, notes: list[str]) -> dict[str, Any]:
    """What the keyword arguments of the s2 provider determine for a period of `days`; absent ones have the
    original's defaults."""
    notes += _unknown(kwargs, S2_KEYS, "provider 's2'")
    on = {}
    for name, (default, lost, instead) in SWITCHES.items():
        on[name] = kwargs.get(name, default)
        _check(isinstance(on[name], bool), f"{name} of 's2' is not true or false: {_shown(on[name])}.")
        if on[name] is lost:
            by_default = "" if name in kwargs else " (on by default)"
            notes.append(f"{name}{by_default} has no counterpart: {instead}.")

    bands = _bands(kwargs.get("bands", DEFAULT_BANDS), notes)
    if "AOT" in bands or "WVP" in bands:
        notes.append("AOT and WVP have their physical units (1 and cm) where the original divides by 65535.")
    if on["cloud_mask"]:
        bands = [*bands, "SCL"]
        if kwargs.get("cloud_mask_rescale_factor") is not None:
            notes.append(
                "cloud_mask_rescale_factor has no counterpart: s2_mask is made on the grid of the cube."
            )

    bucket = kwargs.get("aws_bucket", "planetary_computer")
    _check(isinstance(bucket, str), f"aws_bucket of 's2' is not a text: {_shown(bucket)}.")
    if bucket not in CATALOGS:
        notes.append(f"aws_bucket {_shown(bucket)} is unknown: Element84 is asked, as by the original.")
    fields = {
        "catalog": CATALOGS.get(bucket, CATALOGS["element84"]),
        "s2_bands": [band for band in BANDS if band in bands],
        "s2_mask": "scl" if on["cloud_mask"] else "none",
        "time_axis": "s2",
    }
    if on["five_daily_filter"] and on["best_orbit_filter"]:
        notes.append("five_daily_filter has no effect beside best_orbit_filter, as in the original.")
    elif on["five_daily_filter"]:
        _check(
            days >= STEP_DAYS,
            f"time_interval is shorter than the {STEP_DAYS} days of five_daily_filter.",
            "Choose a longer period, or set five_daily_filter to false.",
        )
        fields.update(time_axis="regular", step_days=STEP_DAYS)
        notes.append(
            "five_daily_filter becomes a regular axis: a step takes all images of the 5 days that end on "
            "its date (the original: those of each fifth day alone), and an incomplete last step is left out."
        )
    return fields


def _providers(specs: dict[str, Any], notes: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Name and keyword arguments of each provider, the primary one first."""
    if "primary_provider" in specs:
        entries = [specs["primary_provider"], *_list(specs.get("other_providers", []), "other_providers")]
        # The original writes the joined list back, so that specs it has used hold both and agree.
        if "providers" in specs and _list(specs["providers"], "providers") != entries:
            notes.append("The key providers is ignored beside primary_provider, as by the original.")
    else:
        _check("providers" in specs, "The specs have no providers.", "Give a list with at least 's2'.")
        entries = _list(specs["providers"], "providers")
        if "other_providers" in specs:
            notes.append("The key other_providers is ignored without primary_provider, as by the original.")
    pairs = []
    for entry in entries:
        _check(
            isinstance(entry, dict) and isinstance(entry.get("name"), str),
            f"A provider of the specs is not a dictionary with a name: {_shown(entry)}.",
            'Write it as {"name": "s2", "kwargs": {"bands": ["B04", "B8A"]}}.',
        )
        name, kwargs = entry["name"], entry.get("kwargs", {})
        provider = f"provider {_shown(name)}"
        _check(isinstance(kwargs, dict), f"kwargs of {provider} is not a dictionary: {_shown(kwargs)}.")
        notes += _unknown(entry, ["name", "kwargs"], provider)
        pairs.append((name, kwargs))
    return pairs


def _bands(value: Any, notes: list[str]) -> list[str]:
    bands, hint = _list(value, "bands of 's2'"), f"Known: {', '.join(BANDS)}."
    _check(
        all(isinstance(band, str) for band in bands), f"bands of 's2' are not names: {_shown(value)}.", hint
    )
    _check(not set(BANDS).isdisjoint(bands), f"bands of 's2' names no known band: {_shown(value)}.", hint)
    notes += [f"Band {_shown(band)} is unknown and left out." for band in bands if band not in BANDS]
    return [band for band in bands if band in BANDS]


def _lon_lat(value: Any) -> tuple[float, float]:
    pair, hint = _list(value, "lon_lat"), "Give longitude, then latitude in degrees: [7.44, 46.95]."
    _check(
        len(pair) == 2 and all(map(_is_number, pair)), f"lon_lat is not two numbers: {_shown(value)}.", hint
    )
    inside = -180 <= pair[0] <= 180 and -90 <= pair[1] <= 90
    _check(inside, f"lon_lat is no place on Earth: {_shown(value)}.", hint)
    return float(pair[0]), float(pair[1])


def _xy_shape(value: Any) -> tuple[int, int]:
    pair = _list(value, "xy_shape")
    _check(
        len(pair) == 2 and all(type(size) is int and size > 0 for size in pair),
        f"xy_shape is not two positive whole numbers: {_shown(value)}.",
        "Give width and height in pixels: [128, 128].",
    )
    return pair[0], pair[1]


def _interval(value: Any, key: str) -> tuple[dt.date, dt.date]:
    hint = "Write it as 2021-07-01/2021-07-31, both inclusive."
    try:
        first, last = map(dt.date.fromisoformat, value.split("/"))
    except (AttributeError, ValueError) as error:
        raise InputError(f"{key} is not two dates: {_shown(value)}.", hint) from error
    _check(first <= last, f"{key} ends before it begins: {_shown(value)}.", hint)
    return first, last


def _list(value: Any, key: str) -> list[Any]:
    """The value as a list; JSON has lists where Python has tuples."""
    _check(isinstance(value, (list, tuple)), f"{key} is not a list: {_shown(value)}.")
    return list(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # false for NaN, and for whole numbers that no float can hold


def _unknown(values: dict[str, Any], known: list[str], owner: str) -> list[str]:
    return [f"The key {_shown(key)} of {owner} is unknown and ignored." for key in values if key not in known]


def _check(right: bool, message: str, hint: str = "") -> None:
    if not right:
        raise InputError(message, hint)


def _shown(value: Any) -> str:
    """A value short enough for a sentence."""
    return reprlib.repr(value)
