"""Spectral indices by name, as the package spyndex has them (the Awesome Spectral Indices of Montero et al. 2023,
https://doi.org/10.1038/s41597-023-02096-0): of which bands and constants they are made, and their values.

Formulas are those of the catalogue: a name that is not in it never gets to spyndex, which evaluates them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import spyndex

from .errors import InputError

KERNEL = re.compile(r"k([A-Z])([A-Z])")  # kNR is the kernel of N and R
OF_A_SENSOR = "lambda"  # how constants begin that are the central wavelength of a band, in nm
MEAN = "mean"  # what sigma may be: half the sum of a kernel's two bands, pixel by pixel


@dataclass(frozen=True)
class Sensor:
    """`prefix`: of its variables in a cube. `platform`: its name in spyndex, "" where that has none. `bands`: the
    variable of each standard band of spyndex."""

    prefix: str
    name: str
    platform: str
    bands: dict[str, str]


def _landsat(number: int, **bands: int) -> Sensor:
    of = {letter: f"ls{number}_sr_B{band}" for letter, band in bands.items()}
    return Sensor(f"ls{number}", f"Landsat {number}", f"landsat{number}", of)


_S2 = "A=B01 B=B02 G=B03 R=B04 RE1=B05 RE2=B06 RE3=B07 N=B08 N2=B8A WV=B09 S1=B11 S2=B12"
# OLI has one band of near infrared, which stands for both of spyndex.
_OLI = {"A": 1, "B": 2, "G": 3, "R": 4, "N": 5, "N2": 5, "S1": 6, "S2": 7}
_TM = {"B": 1, "G": 2, "R": 3, "N": 4, "S1": 5, "S2": 7}
# Where several could serve, the first is taken.
SENSORS = (
    Sensor(
        "s2",
        "Sentinel-2",
        "sentinel2a",
        {letter: f"s2_{band}" for letter, band in (pair.split("=") for pair in _S2.split())},
    ),
    *(_landsat(number, **_OLI) for number in (8, 9)),
    *(_landsat(number, **_TM) for number in (7, 5, 4)),
    Sensor("s1", "Sentinel-1", "", {name: f"s1_{name.lower()}" for name in ("VV", "VH", "HH", "HV")}),
)
RADAR = set(SENSORS[-1].bands)


@dataclass(frozen=True)
class Index:
    """An index of spyndex for a sensor. `bands`: variable of each standard band; `constants`: number of each, sigma
    may be `MEAN`."""

    name: str
    sensor: Sensor
    bands: dict[str, str]
    constants: dict[str, float | str]

    @property
    def variable(self) -> str:
        """What it is called in a cube, as earthnet-minicuber does: s2_ndvi."""
        return f"{self.sensor.prefix}_{self.name.lower()}"

    @property
    def long_name(self) -> str:
        return str(spyndex.indices[self.name].long_name)

    @property
    def formula(self) -> str:
        return str(spyndex.indices[self.name].formula)

    @property
    def reference(self) -> str:
        return str(spyndex.indices[self.name].reference)

    @property
    def kernels(self) -> list[str]:
        return _parts(self.name)[2]


def index_names(text: str) -> list[str]:
    """The catalogue's names in a list that a person wrote, each once. Raises `InputError` for unknown ones."""
    return list(dict.fromkeys(_index_name(word) for word in re.split(r"[\s,;]+", text) if word))


def _index_name(word: str) -> str:
    names = list(spyndex.indices)
    if word in names:
        return word
    lower = word.lower()
    same = [name for name in names if name.lower() == lower]
    if len(same) == 1:
        return same[0]
    if same:
        raise InputError(
            f"INDICES: {word} may be {' or '.join(same)}.", "Write it in capitals and small letters."
        )
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[each] for each in difflib.get_close_matches(lower, by_lower, 5, 0.6)]
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise InputError(
        f"INDICES: there is no spectral index {word}.",
        f"{hint}All names: https://awesome-ee-spectral-indices.readthedocs.io/en/latest/list.html",
    )


def _parts(name: str) -> tuple[list[str], list[str], list[str]]:
    """The standard bands, constants and kernels of an index."""
    bands: list[str] = []
    constants: list[str] = []
    kernels = []
    for part in spyndex.indices[name].bands:
        kernel = KERNEL.fullmatch(part)
        if kernel and part not in spyndex.constants:
            kernels.append(part)
        for each in (*kernel.groups(), "sigma") if kernel else (part,):
            (constants if each in spyndex.constants else bands).append(each)
    return list(dict.fromkeys(bands)), list(dict.fromkeys(constants)), kernels


def indices_of(
    names: list[str], parameters: dict[str, Any], variables: Collection[str], cube: str
) -> list[Index]:
    """The indices of these names (of the catalogue) for a cube with these variables.

    `parameters`: constants by name, for all indices that have them, or within the name of an index for that one.
    `cube`: what it is called, for messages. Raises `InputError` that names all missing bands, constants, and those
    that no index has.
    """
    constants = _constants(names, parameters)
    made, lacks = [], []
    for name in names:
        bands = _parts(name)[0]
        known = [sensor for sensor in SENSORS if set(bands) <= set(sensor.bands)]
        missing = {sensor.prefix: [b for b in bands if sensor.bands[b] not in variables] for sensor in known}
        best = min(known, key=lambda sensor: len(missing[sensor.prefix]), default=None)
        if best is None:
            unknown = [b for b in bands if not any(b in sensor.bands for sensor in SENSORS)] or bands
            lacks.append(f"{name} needs {_and(map(_band, unknown))}, which no known sensor's cube has")
        elif missing[best.prefix]:
            needed = (f"{best.bands[band]} ({_band(band)})" for band in missing[best.prefix])
            lacks.append(f"{name} needs {_and(needed)}")
        else:
            numbers = _numbers(name, best, constants[name])
            made.append(Index(name, best, {band: best.bands[band] for band in bands}, numbers))
    if lacks:
        has = [v for sensor in SENSORS for v in dict.fromkeys(sensor.bands.values()) if v in variables]
        others = (
            f"no band of {_and(sensor.name for sensor in SENSORS)}; its variables are {', '.join(variables)}"
        )
        raise InputError(
            f"Bands are missing in {cube}: {'; '.join(lacks)}.", f"It has {', '.join(has) or others}."
        )
    twice = [index.variable for index in made]
    twice = [each for each in twice if twice.count(each) > 1]
    if twice:
        raise InputError(f"INDICES: two indices would be called {twice[0]}.", "Compute one at a time.")
    return made


def _constants(names: list[str], parameters: dict[str, Any]) -> dict[str, dict[str, float | str]]:
    """What the user gave, by index. Raises `InputError`."""
    found: dict[str, dict[str, float | str]] = {name: {} for name in names}
    by_lower = {name.lower(): name for name in names}
    # Those of a single index come last, so that they win.
    for key, value in sorted(parameters.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            name = key if key in names else by_lower.get(key.lower())
            if name is None:
                raise InputError(
                    f"PARAMETERS: {key} is not one of INDICES.", f"These are {', '.join(names)}."
                )
            given, of = value, [name]
        else:
            given, of = {key: value}, names
        for constant, number in given.items():
            having = [name for name in of if constant in _parts(name)[1]]
            if not having:
                known = {c: str(spyndex.constants[c].description) for name in of for c in _parts(name)[1]}
                has = "; ".join(f"{each}: {text}" for each, text in known.items()) or "no constants"
                raise InputError(
                    f"PARAMETERS: {constant} is no constant of {_and(of, 'or')}.", f"They have {has}."
                )
            for name in having:
                found[name][constant] = _number(constant, number)
    return found


def _number(constant: str, value: Any) -> float | str:
    if constant == "sigma" and value == MEAN:
        return MEAN
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"PARAMETERS: {constant} is not a number: {value!r}.", 'For example: {"L": 0.5}.')
    return float(value)


def _numbers(name: str, sensor: Sensor, given: dict[str, float | str]) -> dict[str, float | str]:
    """The number of each constant of an index: as given, else spyndex's. Raises `InputError` where it has none."""
    numbers: dict[str, float | str] = {}
    for constant in _parts(name)[1]:
        default = given.get(constant, spyndex.constants[constant].default)
        if default is None and constant.startswith(OF_A_SENSOR):
            band = getattr(spyndex.bands.get(constant[len(OF_A_SENSOR) :]), sensor.platform, None)
            if band is None and constant == f"{OF_A_SENSOR}N":  # of OLI, which has N2 alone
                band = getattr(spyndex.bands.N2, sensor.platform, None)
            default = None if band is None else band.wavelength
        if default is None:
            raise InputError(
                f"{name} needs the constant {constant} ({spyndex.constants[constant].description}), which has no "
                "usual value.",
                f'Give it in PARAMETERS, for example {{"{constant}": 1.0}}.',
            )
        numbers[constant] = default if default == MEAN else float(default)
    return numbers


def _band(band: str) -> str:
    """A standard band as a person calls it."""
    return f"{band}, {spyndex.bands[band].long_name}" if band in spyndex.bands else band


def _and(words: Any, word: str = "and") -> str:
    *first, last = words
    return f"{', '.join(first)} {word} {last}" if first else last


def computed(index: Index, values: dict[str, np.ndarray]) -> np.ndarray:
    """The values of an index, float32, from those of its variables (float64, all of one shape; reflectance 1.0 =
    100 %), NaN where a band is missing or the formula has no finite value. Nothing is clipped."""
    bands = {letter: values[variable] for letter, variable in index.bands.items()}
    # As numpy's: Python's own raise where they are divided by zero, and become complex where a root is taken.
    constants = {name: np.float64(value) for name, value in index.constants.items() if value != MEAN}
    finite = np.logical_and.reduce([np.isfinite(each) for each in bands.values()])
    with np.errstate(all="ignore"):
        parameters: dict[str, Any] = {**constants, **bands}
        for kernel in index.kernels:
            a, b = ({**constants, **bands}[each] for each in kernel[1:])
            if kernel[1] == kernel[2]:
                parameters[kernel] = np.float64(1.0)  # a band is like itself, whatever sigma is
                continue
            sigma = (a + b) / 2 if index.constants["sigma"] == MEAN else constants["sigma"]
            # Spyndex adds to what it is given, so it gets a dictionary of its own.
            value = spyndex.computeKernel("RBF", {"a": a, "b": b, "sigma": sigma})
            parameters[kernel] = np.where(sigma == 0, np.nan, value)
        result = np.asarray(spyndex.computeIndex(index.name, parameters)).astype(np.float32)
    return np.where(finite & np.isfinite(result), result, np.float32(np.nan))
