"""What a variable of a cube is a picture of, told from its attributes and its name; and the classes it has.

Cubes of this package say it in their attributes. Those of earthnet-minicuber and others often have a name alone.
"""

from __future__ import annotations

import re

from ..sources.sentinel2_bands import MASK_CLASSES, SCL_CLASSES
from .encoding import Variable
from .layers import classes_of

VEGETATION = "ndvi|evi2?|savi|msavi2?|osavi|gndvi|ndre[12]?|kndvi|nirv|arvi|gari|gli|nbr2?"
MOISTURE = "ndwi|mndwi|ndmi|lswi|ndii|ndsi"
# By the words of a name (between underscores, points and blanks); the first that fits counts.
BY_NAME = (
    ("index", re.compile(rf"(?:{VEGETATION})(?:clim)?")),
    ("moisture", re.compile(MOISTURE)),
    ("elevation", re.compile(r"\w*dem|dsm|dtm|elevation|altitude|height")),
    ("aerosol", re.compile(r"aot|aod\d*")),
    ("vapour", re.compile(r"wvp|tcwv")),
)
# The bands of earthnet-minicuber, which have no standard name.
BANDS = re.compile(r"(?:s2|sen2|nbar)_(?:b\d{1,2}|b8a)|ls[4-9]_sr_b\d", re.IGNORECASE)
BY_STANDARD_NAME = {
    "normalized_difference_vegetation_index": "index",
    "surface_altitude": "elevation",
    "height_above_reference_ellipsoid": "elevation",
    "atmosphere_optical_thickness_due_to_ambient_aerosol_particles": "aerosol",
}

WORLDCOVER = {
    10: ("tree_cover", "#006400"),
    20: ("shrubland", "#ffbb22"),
    30: ("grassland", "#ffff4c"),
    40: ("cropland", "#f096ff"),
    50: ("built-up", "#fa0000"),
    60: ("bare_or_sparse_vegetation", "#b4b4b4"),
    70: ("snow_and_ice", "#f0f0f0"),
    80: ("permanent_water_bodies", "#0064c8"),
    90: ("herbaceous_wetland", "#0096a0"),
    95: ("mangroves", "#00cf75"),
    100: ("moss_and_lichen", "#fae6a0"),
}
GEOMORPHONS = {
    1: ("flat", "#dcdcdc"),
    2: ("summit", "#380000"),
    3: ("ridge", "#c80000"),
    4: ("shoulder", "#ff5014"),
    5: ("spur", "#fad23c"),
    6: ("slope", "#ffff3c"),
    7: ("hollow", "#b4e614"),
    8: ("footslope", "#3cfa96"),
    9: ("valley", "#0000ff"),
    10: ("depression", "#000038"),
}
# Sen2Cor's own colours of the scene classification.
SCL_COLOURS = (
    "#000000", "#ff0000", "#2f2f2f", "#643200", "#00a000", "#ffe65a", "#0000ff", "#808080", "#c0c0c0", "#ffffff",
    "#64c8ff", "#ff96ff",
)  # fmt: skip
MASK_COLOURS = ("#3a9d4b", "#f2f2f2", "#5a4632", "#7fd4ff", "#9a9a9a")
SCL = {value: (name, SCL_COLOURS[value]) for value, name in SCL_CLASSES.items()}
MASK = {value: (name, MASK_COLOURS[value]) for value, name in MASK_CLASSES.items()}
# Classes by the name of the variable, for those that do not say them, and for the colours of those that do.
KNOWN = (
    (re.compile(r"(?:\w+_)?scl", re.IGNORECASE), SCL),
    (re.compile(r"s2_(?:dl)?mask|cloudmask_en"), MASK),
    (re.compile(r"esawc_lc|\w*worldcover\w*", re.IGNORECASE), WORLDCOVER),
    (re.compile(r"geom_cls|geomorphons?", re.IGNORECASE), GEOMORPHONS),
)
DAYS = re.compile(r"days since 1970-0?1-0?1(?:[ T][0:.]+Z?)?")
HEX = re.compile(r"#?[0-9a-fA-F]{6}")


def kind_of(variable: Variable) -> str:
    """What a variable shows: "classes", "reflectance", "index" (more is greener), "moisture" (an index; more is
    wetter), "elevation", "aerosol", "vapour", "date" (days since 1970-01-01) or any other "number"."""
    attributes, name = variable.attributes, variable.name
    standard = str(attributes.get("standard_name", ""))
    if classes(variable):
        return "classes"
    by_name = _kind_by_name(name)
    if by_name in ("index", "moisture"):
        return by_name  # one that was computed from reflectance may have kept its attributes
    if "reflectance" in standard or BANDS.fullmatch(name):
        return "reflectance"
    if standard in BY_STANDARD_NAME:
        return BY_STANDARD_NAME[standard]
    if DAYS.fullmatch(str(attributes.get("units", ""))):
        return "date"
    return by_name


def _kind_by_name(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((kind for kind, pattern in BY_NAME if any(map(pattern.fullmatch, words))), "number")


def classes(variable: Variable) -> dict[int, str]:
    """Value to name of a variable of classes, empty for any other: as it says itself, else by its name."""
    said = classes_of(variable.attributes)
    return said or {value: name for value, (name, _) in _known(variable.name).items()}


def colours(variable: Variable) -> dict[int, str]:
    """Value to colour (#rrggbb), for those classes whose colours the variable says or its name tells."""
    names = classes(variable)
    said = str(variable.attributes.get("flag_colors", variable.attributes.get("flag_colours", ""))).split()
    if names and len(said) == len(names) and all(HEX.fullmatch(colour) for colour in said):
        # In the order of flag_values, which is that of the names.
        return {value: "#" + colour.lstrip("#").lower() for value, colour in zip(names, said, strict=True)}
    known = _known(variable.name)
    return {value: known[value][1] for value in names if value in known}


def _known(name: str) -> dict[int, tuple[str, str]]:
    return next((table for pattern, table in KNOWN if pattern.fullmatch(name)), {})
