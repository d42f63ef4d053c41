"""The weather of the demo: hourly series in the manner of ERA5, and what they do to soil and snow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from . import site
from .noise import red_noise
from .sun import sun_position

TIMES = np.arange(np.datetime64("2020-02-01T00", "h"), np.datetime64("2022-09-06T00", "h"))
LATITUDES = np.array([47.25, 47.0, 46.75])
LONGITUDES = np.array([7.5, 7.75, 8.0])
CELL_ELEVATION = np.array([[560, 690, 640], [620, 830, 890], [780, 1120, 1340]], float)
SITE_CELL = (1, 1)
SOLAR_LEAD = site.LON / 15  # hours by which local solar time is ahead of UTC
LAPSE = 0.0065  # K m-1, International Standard Atmosphere

# Bits that are kept after the binary point: noise below the precision of a reanalysis only costs space.
_BITS = {"t2m": 6, "d2m": 6, "tp": 20, "sp": 0, "msl": 0, "ssrd": -8, "u10": 6, "v10": 6}
_ATTRIBUTES = {
    "t2m": ("2 metre temperature", "air_temperature", "K"),
    "d2m": ("2 metre dewpoint temperature", "dew_point_temperature", "K"),
    "tp": ("Total precipitation", "lwe_thickness_of_precipitation_amount", "m"),
    "sp": ("Surface pressure", "surface_air_pressure", "Pa"),
    "msl": ("Mean sea level pressure", "air_pressure_at_mean_sea_level", "Pa"),
    "ssrd": (
        "Surface solar radiation downwards",
        "integral_wrt_time_of_surface_downwelling_shortwave_flux_in_air",
        "J m**-2",
    ),
    "u10": ("10 metre U wind component", "eastward_wind", "m s**-1"),
    "v10": ("10 metre V wind component", "northward_wind", "m s**-1"),
}
_ACCUMULATED = ("tp", "ssrd")


def vapour_pressure(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure over water in Pa at a temperature in K: Magnus formula, Sonntag (1990)."""
    celsius = temperature - 273.15
    return 611.2 * np.exp(17.62 * celsius / (243.12 + celsius))


def dew_point(pressure: np.ndarray) -> np.ndarray:
    """Dew point in K at a vapour pressure in Pa: the inverse of `vapour_pressure`."""
    logarithm = np.log(pressure / 611.2)
    return 273.15 + 243.12 * logarithm / (17.62 - logarithm)


def day_of_year(times: np.ndarray) -> np.ndarray:
    """Day of the year with its fraction, 0 on 1 January 00:00."""
    return (times - times.astype("datetime64[Y]")) / np.timedelta64(1, "D")


@dataclass(frozen=True)
class Weather:
    """Hourly fields by ECMWF's short names, each (time, latitude, longitude), and `cloudiness` (time).

    tp and ssrd belong to the hour that ends at the time, everything else to the instant.
    """

    fields: dict[str, np.ndarray]
    cloudiness: np.ndarray

    def at_site(self, name: str) -> np.ndarray:
        """The hourly series of the cell that holds the demo."""
        return self.fields[name][:, SITE_CELL[0], SITE_CELL[1]]


def make_weather() -> Weather:
    """The weather of all `TIMES`; always the same."""
    rng = np.random.default_rng([site.SEED, 2])
    n = len(TIMES)
    doy = day_of_year(TIMES)
    year = TIMES.astype("datetime64[Y]").astype(int) + 1970
    # How far the hot, dry summer of 2022 has come: 0 until mid May, 1 from mid June.
    dry = np.where(year == 2022, np.clip((doy - 135) / 30, 0, 1), 0.0)

    synoptic = red_noise(rng, (n,), 40)
    front = synoptic + 0.35 * red_noise(rng, (n,), 3) - 0.55 * dry
    cloudiness = 1 / (1 + np.exp(-2.6 * (front - 0.1)))

    middle = TIMES[:, None] - np.array([55, 45, 35, 25, 15, 5]).astype("timedelta64[m]")
    lon, lat = np.meshgrid(LONGITUDES, LATITUDES)
    elevation = sun_position(middle[:, :, None, None], lon, lat)[1]
    # Kasten & Czeplak (1980): clear-sky irradiance in W m-2 and its weakening by clouds.
    clear = np.clip(910 * np.sin(np.radians(elevation)) - 30, 0, None).mean(axis=1)
    ssrd = 3600 * clear * (1 - 0.75 * cloudiness**3.4)[:, None, None]

    hour = (TIMES - TIMES.astype("datetime64[D]")) / np.timedelta64(1, "h")
    sunny = 1 - 0.75 * cloudiness
    season = np.cos(2 * np.pi * (doy - 201) / 365.25)
    slow = 9.0 + 9.0 * season + 3.3 * red_noise(rng, (n,), 90) - 1.2 * synoptic * (0.3 + season) + 2.2 * dry
    swing = (2.6 + 2.2 * (season + 1)) * sunny * np.cos(2 * np.pi * (hour + SOLAR_LEAD - 15) / 24)
    local = 0.35 * np.moveaxis(red_noise(rng, (3, 3, n), 8), 2, 0)
    above_site = (CELL_ELEVATION - CELL_ELEVATION[SITE_CELL])[None]
    t2m = 273.15 + (slow + swing)[:, None, None] - LAPSE * above_site + local

    humidity = 0.60 + 0.34 * cloudiness - 0.10 * dry + 0.03 * red_noise(rng, (n,), 12)
    slow_t = 273.15 + slow[:, None, None] - LAPSE * above_site
    vapour = np.clip(humidity, 0.25, 0.99)[:, None, None] * vapour_pressure(slow_t)
    d2m = np.minimum(dew_point(vapour), t2m - 0.1)

    showers = np.moveaxis(rng.gamma(0.9, 1.0, (3, 3, n)), 2, 0) * (0.75 + CELL_ELEVATION[None] / 3300)
    wet = np.clip(front - 0.85, 0, None) * (1.0 + 0.25 * season) * (1 - 0.55 * dry)
    tp = 1e-3 * 1.3 * wet[:, None, None] * showers

    # Barometric formula of the standard atmosphere, and the lows that bring the clouds.
    of_sea_level = (1 - LAPSE * CELL_ELEVATION / 288.15) ** 5.2559
    sp = 101325 * of_sea_level[None] + (-450 * synoptic + 350 * red_noise(rng, (n,), 60))[:, None, None]
    wind = 1.6 * red_noise(rng, (2, n), 9) + np.array([[1.2], [0.3]]) * (1 + synoptic)
    u10, v10 = wind[:, :, None, None] * (0.8 + CELL_ELEVATION / 4000)[None, None]
    msl = sp / of_sea_level[None]
    values = {"t2m": t2m, "d2m": d2m, "tp": tp, "sp": sp, "msl": msl, "ssrd": ssrd, "u10": u10, "v10": v10}
    return Weather({name: _rounded(field, _BITS[name]) for name, field in values.items()}, cloudiness)


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    return (np.round(values * 2.0**bits) / 2.0**bits).astype(np.float32)


def write_store(weather: Weather, path: Path) -> None:
    """Write the weather as NetCDF-4, ECMWF names and units; dimensions time, latitude, longitude."""
    store = xr.Dataset(
        {name: (("time", "latitude", "longitude"), field) for name, field in weather.fields.items()},
        coords={"time": TIMES.astype("datetime64[ns]"), "latitude": LATITUDES, "longitude": LONGITUDES},
        attrs={
            "Conventions": "CF-1.11",
            "title": f"ERA5-like hourly weather. {site.SYNTHETIC}",
            "comment": "tp and ssrd at a time are accumulated over the hour that ends at that time.",
            "source": "Statistical weather generator of Minicuber's demo; not ERA5",
        },
    )
    for name, (long_name, standard_name, units) in _ATTRIBUTES.items():
        store[name].attrs = {"long_name": long_name, "standard_name": standard_name, "units": units}
        accumulated = name in _ACCUMULATED
        store[name].attrs["cell_methods"] = "time: sum" if accumulated else "time: point"
        if accumulated:
            store[name].attrs["comment"] = "accumulated over the hour that ends at the time"
    store["time"].attrs = {"long_name": "time", "standard_name": "time"}
    store["latitude"].attrs = {"long_name": "latitude", "standard_name": "latitude", "units": "degrees_north"}
    store["longitude"].attrs = {
        "long_name": "longitude",
        "standard_name": "longitude",
        "units": "degrees_east",
    }
    packed = {"zlib": True, "complevel": 6, "shuffle": True, "chunksizes": (8192, 3, 3), "_FillValue": None}
    encoding: dict[str, dict] = {name: dict(packed) for name in weather.fields}
    encoding["time"] = {"units": "hours since 1900-01-01 00:00:00", "dtype": "int32", "_FillValue": None}
    encoding["latitude"] = encoding["longitude"] = {"_FillValue": None}
    store.to_netcdf(path, engine="h5netcdf", encoding=encoding)


@dataclass(frozen=True)
class Ground:
    """What the weather has made of soil and snow, per UTC day of `days`.

    `stress` (day): 0 none to 1, drought as the plants feel it. `snow` (day, level): water equivalent
    in mm at the `levels` (m).
    """

    days: np.ndarray
    stress: np.ndarray
    levels: np.ndarray
    snow: np.ndarray

    def snow_at(self, date: np.datetime64, elevation: np.ndarray) -> np.ndarray:
        """Snow water equivalent in mm on a date at elevations in m."""
        return np.interp(elevation, self.levels, self.snow[self.index(date)]).astype(np.float32)

    def index(self, date: np.datetime64) -> int:
        return int((date.astype("datetime64[D]") - self.days[0]) / np.timedelta64(1, "D"))


def make_ground(weather: Weather) -> Ground:
    """Run a soil bucket of 110 mm and a degree-day snow pack through the days.

    Evaporation after Makkink as in de Bruin (1987): 0.65 D / (D + g) Rs / L. Snow falls below 1 degree
    C and melts by 3.5 mm per K and day (Hock 2003 gives 1 to 8).
    """
    days = TIMES[::24].astype("datetime64[D]")
    temperature = weather.at_site("t2m").reshape(-1, 24).mean(axis=1)
    rain = 1000 * weather.at_site("tp").reshape(-1, 24).sum(axis=1)
    radiation = weather.at_site("ssrd").reshape(-1, 24).sum(axis=1, dtype=np.float64)
    slope = vapour_pressure(temperature) * 17.62 * 243.12 / (temperature - 30.03) ** 2  # Pa K-1
    demand = 0.65 * slope / (slope + 61) * radiation / 2.45e6

    capacity, water, felt = 110.0, 110.0, 0.0
    levels = np.linspace(650.0, 1250.0, 13)
    pack = np.zeros(len(levels))
    stress, snow = [], []
    celsius = temperature[:, None] - 273.15 - LAPSE * (levels - CELL_ELEVATION[SITE_CELL])
    for day in range(len(days)):
        water = min(max(water + rain[day] - demand[day] * min(1.0, 2 * water / capacity), 0.0), capacity)
        # Leaves answer within about two weeks.
        felt += (max(0.0, 1 - water / (0.45 * capacity)) - felt) / 14
        pack = pack + rain[day] * (celsius[day] < 1.0)
        pack = np.clip(pack - 3.5 * np.clip(celsius[day], 0, None), 0, None)
        stress.append(felt)
        snow.append(pack)
    return Ground(days, np.array(stress), levels, np.array(snow))
