"""The climate variables that a cube can have, `era5_*`: names in stores, units, and what they are derived from.

Units are ECMWF's whatever the store has: K, Pa, m, J m-2, m s-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..aggregation import checked_aggregation
from ..errors import InputError, SourceError


@dataclass(frozen=True)
class ClimateVariable:
    """`known_as`: names in stores, ECMWF's first. `usual`: the aggregation where none is asked for. `sums`: values
    are accumulated over time; `ending`: they belong to the interval that ends at the stamp. `needs`: the variables
    that it is derived from; `daily`: per UTC day, from complete days."""

    name: str
    long_name: str
    units: str
    usual: str = "mean"
    known_as: tuple[str, ...] = ()
    standard_name: str = ""
    sums: bool = False
    ending: bool = False
    needs: tuple[str, ...] = ()
    daily: bool = False
    reference: str = ""
    aliases: tuple[str, ...] = field(default=())


FAO = "FAO Irrigation and Drainage Paper 56 (Allen et al. 1998)"
GDD = "McMaster and Wilhelm (1997), method 1"
_ALL = (
    ClimateVariable(
        "t", "2 metre temperature", "K", "mean",
        ("t2m", "2t", "air_temperature_at_2_metres", "2m_temperature"), "air_temperature",
    ),
    ClimateVariable(
        "dp", "2 metre dew point temperature", "K", "mean",
        ("d2m", "2d", "dew_point_temperature_at_2_metres", "2m_dewpoint_temperature"), "dew_point_temperature",
    ),
    ClimateVariable(
        "maxt", "maximum 2 metre temperature of the hour", "K", "max",
        ("mx2t", "t2mmax", "air_temperature_at_2_metres_1hour_Maximum", "maximum_2m_temperature"),
        "air_temperature", ending=True,
    ),
    ClimateVariable(
        "mint", "minimum 2 metre temperature of the hour", "K", "min",
        ("mn2t", "t2mmin", "air_temperature_at_2_metres_1hour_Minimum", "minimum_2m_temperature"),
        "air_temperature", ending=True,
    ),
    ClimateVariable(
        "tp", "total precipitation", "m", "sum",
        ("tp", "precipitation_amount_1hour_Accumulation", "total_precipitation"),
        "lwe_thickness_of_precipitation_amount", sums=True, ending=True,
    ),
    ClimateVariable(
        "sr", "surface solar radiation downwards", "J m-2", "sum",
        (
            "ssrd",
            "integral_wrt_time_of_surface_direct_downwelling_shortwave_flux_in_air_1hour_Accumulation",
            "surface_solar_radiation_downwards",
        ),
        "integral_wrt_time_of_surface_downwelling_shortwave_flux_in_air", sums=True, ending=True,
    ),
    ClimateVariable(
        "e", "total evaporation, downwards positive", "m", "sum", ("e", "total_evaporation"),
        sums=True, ending=True,
    ),
    ClimateVariable(
        "pev", "potential evaporation, downwards positive", "m", "sum", ("pev", "potential_evaporation"),
        sums=True, ending=True,
    ),
    ClimateVariable(
        "sp", "surface pressure", "Pa", "mean", ("sp", "surface_air_pressure", "surface_pressure"),
        "surface_air_pressure",
    ),
    ClimateVariable(
        "ap", "mean sea level pressure", "Pa", "mean",
        ("msl", "air_pressure_at_mean_sea_level", "mean_sea_level_pressure"), "air_pressure_at_mean_sea_level",
    ),
    ClimateVariable(
        "sea_t", "sea surface temperature", "K", "mean", ("sst", "sea_surface_temperature"), "sea_surface_temperature"
    ),
    ClimateVariable(
        "east_wind_10", "10 metre eastward wind", "m s-1", "mean",
        ("u10", "10u", "eastward_wind_at_10_metres", "10m_u_component_of_wind"), "eastward_wind",
    ),
    ClimateVariable(
        "north_wind_10", "10 metre northward wind", "m s-1", "mean",
        ("v10", "10v", "northward_wind_at_10_metres", "10m_v_component_of_wind"), "northward_wind",
    ),
    ClimateVariable(
        "east_wind_100", "100 metre eastward wind", "m s-1", "mean",
        ("u100", "100u", "eastward_wind_at_100_metres", "100m_u_component_of_wind"), "eastward_wind",
    ),
    ClimateVariable(
        "north_wind_100", "100 metre northward wind", "m s-1", "mean",
        ("v100", "100v", "northward_wind_at_100_metres", "100m_v_component_of_wind"), "northward_wind",
    ),
    ClimateVariable(
        "vpd", "vapour pressure deficit, of each hour", "Pa", "mean",
        standard_name="water_vapor_saturation_deficit_in_air", needs=("t", "dp"), reference=FAO,
    ),
    ClimateVariable(
        "rh", "relative humidity over water, of each hour", "percent", "mean",
        standard_name="relative_humidity", needs=("t", "dp"), reference=FAO,
    ),
    ClimateVariable(
        "wind_10", "10 metre wind speed, of each hour", "m s-1", "mean", standard_name="wind_speed",
        needs=("east_wind_10", "north_wind_10"),
    ),
    ClimateVariable(
        "wind_100", "100 metre wind speed, of each hour", "m s-1", "mean", standard_name="wind_speed",
        needs=("east_wind_100", "north_wind_100"),
    ),
    ClimateVariable(
        "et0", "reference evapotranspiration of grass, per UTC day", "m", "sum",
        needs=("t", "dp", "sr", "east_wind_10", "north_wind_10", "sp"), daily=True, reference=FAO,
    ),
    *(
        ClimateVariable(
            f"gdd{base}", f"growing degree days above {base} degrees Celsius, per UTC day", "K d", "sum",
            needs=("t",), daily=True, reference=GDD, aliases=("gdd",) if base == 10 else (),
        )
        for base in (0, 5, 10)
    ),
)  # fmt: skip
VARIABLES = {each.name: each for each in _ALL}
GDD_BASES = {f"gdd{base}": 273.15 + base for base in (0, 5, 10)}  # K


def checked_choice(choice: Iterable) -> tuple[tuple[str, str], ...]:
    """(variable, aggregation) pairs of what a user gave: pairs, or one flat list of them; ECMWF's names count too.

    An empty aggregation is the usual one. Each pair once, in the order given. Raises `InputError`.
    """
    rows = list(choice)
    if rows and all(isinstance(each, str) for each in rows):
        if len(rows) % 2:
            raise InputError(
                f"ERA5_VARIABLES has a name without an aggregation: {rows[-1]}.",
                "For example: t,mean,tp,sum.",
            )
        rows = list(zip(rows[::2], rows[1::2], strict=True))
    made = []
    for row in rows:
        if isinstance(row, str) or len(row) != 2:
            raise InputError(f"ERA5_VARIABLES needs a name and an aggregation per row, not {row!r}.")
        variable = _named(str(row[0] or ""))
        try:
            how = checked_aggregation(row[1]) if str(row[1] or "").strip() else variable.usual
        except InputError as error:
            raise InputError(f"ERA5_VARIABLES, {variable.name}: {error.message}", error.hint) from error
        if (variable.name, how) not in made:
            made.append((variable.name, how))
    return tuple(made)


def _named(text: str) -> ClimateVariable:
    name = text.strip().removeprefix("era5_")
    for variable in _ALL:
        if name.lower() == variable.name or name.lower() in variable.aliases or name in variable.known_as:
            return variable
    raise InputError(f"Unknown climate variable: {text!r}.", f"Known: {', '.join(VARIABLES)}.")


def cube_names(choice: tuple[tuple[str, str], ...]) -> dict[tuple[str, str], str]:
    """The name in the cube of each pair: `era5_t`; where a variable has several aggregations `era5_t_max`, `era5_t_p95`
    ("." in a percentage becomes "_")."""
    counts = {name: sum(each == name for each, _ in choice) for name, _ in choice}
    return {
        (name, how): f"era5_{name}" if counts[name] == 1 else f"era5_{name}_{how.replace('.', '_')}"
        for name, how in choice
    }


def sources_of(choice: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The variables that have to be read for a choice, each once."""
    needed = [need for name, _ in choice for need in VARIABLES[name].needs or (name,)]
    return tuple(dict.fromkeys(needed))


# By our units, what stores write, and value = theirs * factor + shift.
_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "K": {
        **dict.fromkeys(("k", "kelvin", "degk"), (1.0, 0.0)),
        **dict.fromkeys(
            ("c", "degc", "deg c", "degree c", "°c", "celsius", "degree_celsius", "degrees_celsius"), (1.0, 273.15)
        ),
    },
    "Pa": {
        **dict.fromkeys(("pa", "pascal", "n m-2"), (1.0, 0.0)),
        **dict.fromkeys(("hpa", "mbar", "millibar"), (100.0, 0.0)),
        "kpa": (1000.0, 0.0),
    },
    "m": {
        **dict.fromkeys(("m", "m of water equivalent", "m of water"), (1.0, 0.0)),
        **dict.fromkeys(("mm", "kg m-2"), (1e-3, 0.0)),
    },
    "J m-2": {"j m-2": (1.0, 0.0), "kj m-2": (1e3, 0.0), "mj m-2": (1e6, 0.0)},
    "m s-1": {"m s-1": (1.0, 0.0), "km h-1": (1 / 3.6, 0.0)},
}  # fmt: skip
# Mean rates, of which the seconds of a step make sums: factor, and per how many seconds they are.
_PER = {"s-1": 1.0, "h-1": 3600.0, "d-1": 86400.0, "day-1": 86400.0}
_RATES: dict[str, dict[str, tuple[float, float]]] = {
    "J m-2": {
        "w m-2": (1.0, 1.0),
        **{f"{text} {per}": (f, _PER[per]) for text, f in (("j m-2", 1.0), ("mj m-2", 1e6)) for per in _PER},
    },
    "m": {
        f"{text} {per}": (f, _PER[per])
        for text, f in (("m", 1.0), ("mm", 1e-3), ("kg m-2", 1e-3))
        for per in _PER
    },
}


def conversion(variable: ClimateVariable, units: str, step_seconds: float) -> tuple[float, float]:
    """(factor, shift) from a store's units to ours. Raises `SourceError` for units that are not known."""
    text = re.sub(r"\*\*|\^", "", units.strip().lower())
    text = re.sub(
        r"/\s*(m2|m\b|s\b|h\b|hr\b|d\b|day\b)",
        lambda m: f" {m[1].replace('hr', 'h').replace('2', '')}-{_power(m[1])}",
        text,
    )
    text = " ".join(re.sub(r"(?<=[a-z])\s*-\s*(?=\d)", "-", text).split())
    if text in _UNITS[variable.units]:
        return _UNITS[variable.units][text]
    if variable.sums and text in _RATES[variable.units]:
        factor, seconds = _RATES[variable.units][text]
        return factor * step_seconds / seconds, 0.0
    raise SourceError(
        f"The store has {variable.long_name} in units that are not known here: {units!r}.",
        f"Known are those that lead to {variable.units}. An entry of your own in catalogs.json can name others.",
        lasting=True,
    )


def _power(unit: str) -> str:
    return "2" if unit.endswith("2") else "1"
