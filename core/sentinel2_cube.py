"""What a cube of Sentinel-2 says of itself: its variables, what stands beside each date, and its attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import __version__
from .blocks import NO_IMAGE
from .cube.encoding import ATMOSPHERE, CLASSES, REFLECTANCE, Encoding, Variable, flags
from .images import Gathered
from .plan import Plan
from .sources.sentinel2_bands import BANDS, MASK_CLASSES, SCL_CLASSES, Band
from .timeline import now

IMAGE_DATE = Encoding("int32", None, NO_IMAGE)
LICENSE = (
    "Contains modified Copernicus Sentinel data; "
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
)
REFERENCES = "https://sentinels.copernicus.eu/web/sentinel/sentinel-data-access/sentinel-products"


def source_of(plan: Plan) -> str:
    """The catalog that answered and its collections, as `source` has it."""
    title = plan.found.catalog.title if plan.found.catalog else plan.found.source
    names = ", ".join(entry.id for entry in plan.collections)
    return f"Sentinel-2, {title}" + (f", {names}" if names else "")


def variables_of(plan: Plan) -> list[Variable]:
    """The variables (time, y, x) of the plan's cube."""
    encodings = {"reflectance": REFLECTANCE, "atmosphere": ATMOSPHERE, "classes": CLASSES}
    source = source_of(plan)
    variables = []
    for name in plan.recipe.s2_bands:
        band = BANDS[name]
        attributes: dict[str, Any] = {
            "long_name": f"Sentinel-2 {name}, {band.long_name}",
            "units": band.units,
            "source": source,
        }
        if band.wavelength:
            attributes |= _reflectance_attributes(plan, band)
        if name == "SCL":
            attributes |= flags(SCL_CLASSES)
        variables.append(Variable(f"s2_{name}", encodings[band.kind], attributes))
    if plan.recipe.s2_mask == "scl":
        attributes = {
            "long_name": "mask from the scene classification",
            "units": "1",
            "source": source,
            **flags(MASK_CLASSES),
        }
        variables.append(Variable("s2_mask", CLASSES, attributes))
    if plan.recipe.time_axis == "regular":
        attributes = {
            "long_name": "UTC date of the image that a pixel was taken from",
            "units": "days since 1970-01-01",
            "calendar": "standard",
            "source": source,
        }
        variables.append(Variable("s2_image_date", IMAGE_DATE, attributes))
    return variables


def _reflectance_attributes(plan: Plan, band: Band) -> dict[str, Any]:
    """The CF name is right for the surface alone; level 1C is reflectance at the top of the atmosphere."""
    levels = {scene.level for scene in plan.scenes}
    names = {"L2A": "surface_bidirectional_reflectance", "L1C": "toa_bidirectional_reflectance"}
    known = names.get(levels.pop() or "L2A") if len(levels) == 1 else None
    return {"standard_name": known, "wavelength_nm": band.wavelength}


def global_attributes(plan: Plan, entries: Sequence[Any]) -> dict[str, Any]:
    """What holds for the whole cube, as attributes; `entries`: of the registry, of all that went into it.

    The time of the run from SOURCE_DATE_EPOCH if that is set.
    """
    licenses = [entry.license for entry in entries]
    references = [text for entry in entries for text in entry.references]
    if not plan.collections:
        licenses, references = [LICENSE, *licenses], [REFERENCES, *references]
    attribution = [entry.attribution for entry in entries]
    fallback = plan.found.source != plan.recipe.catalog
    note = f" from the fallback {plan.found.source}" if fallback else ""
    return {
        "title": f"Minicube of Sentinel-2, {plan.days[0]} to {plan.days[-1]}",
        "history": f"{now():%Y-%m-%dT%H:%M:%SZ} minicuber {__version__}: buildminicube{note}",
        "minicuber_version": __version__,
        "recipe": plan.recipe.to_json(),
        "source": source_of(plan),
        "references": "; ".join(dict.fromkeys(filter(None, references))),
        "license": "; ".join(dict.fromkeys(filter(None, licenses))),
        "attribution": "; ".join(dict.fromkeys(filter(None, attribution))),
    }


def describe_reading(cube: Any, told: Gathered) -> None:
    """Put into the cube what only reading told: methods of resampling, and offsets that look wrong."""
    for band, methods in told.methods.items():
        text = "; ".join(sorted(methods)) or "none, there is no file"
        if f"s2_{band}" in cube.variables:
            cube.describe(f"s2_{band}", resampling=text)
        if band == "SCL" and "s2_mask" in cube.variables:
            cube.describe("s2_mask", resampling=text)
    if "s2_image_date" in cube.variables:
        cube.describe("s2_image_date", resampling="nearest")
        cube.describe("time", long_name="last UTC day of the step")
    if told.offset_steps:
        cube.describe(None, s2_offset_check="; ".join(map(str, told.offset_steps)))


def write_per_date(cube: Any, plan: Plan, told: Gathered) -> None:
    """The variables along time that say which images a step was made of; its first item speaks for it."""
    firsts = [step.first for step in plan.steps]
    who = "the first item" if plan.recipe.time_axis == "s2" else "the first item of the latest date"

    def of(name: str, missing: Any) -> list[Any]:
        return [missing if scene is None else getattr(scene, name) for scene in firsts]

    def numbers(values: list[float | None]) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float32)

    def add(name: str, values: Any, long_name: str, **attributes: Any) -> None:
        cube.add(name, ("time",), values, long_name=long_name, source=source_of(plan), **attributes)

    instants = np.array([math.nan if s is None else s.instant.timestamp() for s in firsts], dtype=np.float64)
    add("s2_time", instants, "instant of acquisition", units="seconds since 1970-01-01", calendar="standard")
    add("s2_avail", told.avail, "1 where the step has a valid pixel", units="1")
    joined = [" ".join(scene.id for scene in step.scenes) for step in plan.steps]
    add("s2_item_id", joined, "items of the step; those of one date in the order in which they fill pixels")
    add(
        "s2_missing_assets", told.missing, "files of the step that could not be had, whose pixels are missing"
    )
    if plan.recipe.fallback_catalog:
        add(
            "s2_fallback_assets",
            told.replaced,
            f"files that came from {plan.recipe.fallback_catalog} instead",
        )
    add("s2_platform", of("platform", ""), f"platform of {who}")
    add("s2_processing_baseline", of("baseline", ""), f"processing baseline of {who}")
    orbits = np.array([-1 if orbit is None else orbit for orbit in of("orbit", None)], dtype=np.int32)
    add("s2_relative_orbit", orbits, f"relative orbit of {who}, -1 unknown", units="1")
    covers = numbers(of("cloud_cover", None))
    add("s2_cloud_cover", covers, f"cloud cover of the whole scene of {who}", units="percent")
    if not np.all(np.isnan(told.clear_share)):
        add("s2_clear_share", told.clear_share, "share of the extent that is clear", units="1")
    for angle in ("sun_azimuth", "sun_elevation", "view_azimuth", "view_incidence_angle"):
        values = numbers([angles.get(angle) for angles in of("angles", {})])
        if not np.all(np.isnan(values)):
            add(f"s2_{angle}", values, f"{angle.replace('_', ' ')} of {who}", units="degree")
