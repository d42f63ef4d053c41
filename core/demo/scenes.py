"""What Sentinel-2 sees on a date: surface, snow, clouds, shadows, and the scene classification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import site
from .climate import TIMES, Ground, Weather
from .landscape import BUILT_UP, CONIFEROUS, DECIDUOUS, WATER, Landscape
from .noise import block_mean, power_law_field
from .spectra import BACKGROUND, BANDS, CIRRUS, CLOUD, GREEN, SNOW
from .sun import sun_position
from .vegetation import green_share

_CLOUD_DOMAIN = (384, 384)  # pixels of 10 m; clouds from beyond the crops throw shadows into them
_SHADOW, _LOW, _MEDIUM, _HIGH, _THIN = 0.30, 0.10, 0.25, 0.60, 0.12


@dataclass(frozen=True)
class Scene:
    """One date over `site.UNION`, before it is cut into tiles.

    `layers`: by asset key, (row, column) at native resolution: reflectance (1.0 = 100 %), aot (1) and
    wvp (cm) as float32, scl as uint8. `sun`: azimuth and elevation in degrees.
    """

    date: np.datetime64
    sun: tuple[float, float]
    layers: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Sky:
    """Shares from 0 to 1 over the union at 10 m: opacity of clouds and cirrus, depth of shadow."""

    cloud: np.ndarray
    bright: np.ndarray
    cirrus: np.ndarray
    shadow: np.ndarray


def sensing_time(date: np.datetime64, seconds: float = 0.0) -> np.datetime64:
    """When a date's scene was sensed: 10:37 UTC and some seconds, in milliseconds."""
    return date.astype("datetime64[ms]") + np.timedelta64(round(1000 * (10 * 3600 + 37 * 60 + seconds)), "ms")


def make_scene(landscape: Landscape, weather: Weather, ground: Ground, date: np.datetime64) -> Scene:
    """The scene of a date; depends on nothing but its arguments. `landscape` covers `site.UNION`."""
    rng = np.random.default_rng([site.SEED, 4, int(date.astype(int))])
    sun = tuple(float(v) for v in sun_position(sensing_time(date), site.LON, site.LAT))
    hour = int((date.astype("datetime64[h]") + np.timedelta64(10, "h") - TIMES[0]) / np.timedelta64(1, "h"))
    sky = _sky(rng, float(weather.cloudiness[hour]), sun)
    snow = _snow(landscape, ground, date)

    green = green_share(landscape, ground, date)
    weights = np.concatenate([landscape.cover * green, landscape.cover * (1 - green)])
    endmembers = np.concatenate([GREEN, BACKGROUND], axis=1)
    surface = (endmembers @ weights.reshape(len(weights), -1)).reshape(len(BANDS), *snow.shape)
    surface *= landscape.texture
    surface += snow * (SNOW[:, None, None] - surface)
    light = _illumination(landscape, *sun)
    surface *= light
    # Shaded ground still gets the sky's diffuse light, which is bluer.
    wavelength = np.array([band.center_wavelength for band in BANDS], np.float32)
    surface *= 1 - sky.shadow * (0.86 - 0.16 / wavelength**1.3)[:, None, None].clip(0.3, 0.8)
    surface += sky.cirrus * (CIRRUS[:, None, None] - surface)
    surface += sky.cloud * (CLOUD[:, None, None] * sky.bright - surface)

    layers = {}
    for band, values in zip(BANDS, surface, strict=True):
        values = block_mean(values, band.resolution // site.PIXEL)
        # Less noise than MSI has (its signal to noise is 50 to 170): noise fills the disk.
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        layers[band.key] = np.maximum(values + noise * (0.0004 + 0.0012 * values), 0.0002)
    layers["scl"] = _classify(layers, landscape, sky, snow, light)
    layers.update(_atmosphere(rng, landscape, weather, hour, date))
    return Scene(date, sun, layers)


def _sky(rng: np.random.Generator, cloudiness: float, sun: tuple[float, float]) -> _Sky:
    field = power_law_field(rng, _CLOUD_DOMAIN, 3.4, 120)
    veil = power_law_field(rng, _CLOUD_DOMAIN, 4.2, 384)
    height = rng.uniform(700, 2200)  # m above the ground
    with_cirrus = rng.random() < 0.22

    # The sky of the hour clears below 0.33 and closes above 0.93.
    share = np.clip((cloudiness - 0.33) / 0.6, 0, 1)
    if share >= 1:
        cloud = (0.95 + 0.02 * veil).clip(0.85, 1)
    elif share <= 0:
        cloud = np.zeros(_CLOUD_DOMAIN, np.float32)
    else:
        depth = ((field - np.quantile(field, 1 - share)) / 0.9).clip(0, 1)
        cloud = 0.98 * depth * depth * (3 - 2 * depth)
    cirrus = 0.28 * (veil * 0.5 + 0.35).clip(0, 1) * with_cirrus

    azimuth, elevation = np.radians(sun)
    length = height / np.tan(elevation) / site.PIXEL
    down, right = round(float(np.cos(azimuth) * length)), round(float(-np.sin(azimuth) * length))
    shadow = np.roll(cloud, (down, right), (0, 1)) * (1 - cloud)
    left, top = (site.UNION[0] - site.DOMAIN[0]) // 10, (site.DOMAIN[3] - site.UNION[3]) // 10
    rows = slice(top, top + (site.UNION[3] - site.UNION[1]) // 10)
    columns = slice(left, left + (site.UNION[2] - site.UNION[0]) // 10)
    bright = (1 + 0.07 * veil).clip(0.75, 1.3)
    return _Sky(*(layer[rows, columns].astype(np.float32) for layer in (cloud, bright, cirrus, shadow)))


def _snow(landscape: Landscape, ground: Ground, date: np.datetime64) -> np.ndarray:
    """Share of snow that is seen from above: 8 mm of water cover 63 %, crowns hide most of it."""
    share = 1 - np.exp(-ground.snow_at(date, landscape.elevation) / 8)
    cover = landscape.cover
    hidden = 0.78 * cover[CONIFEROUS] + 0.5 * cover[DECIDUOUS] + 0.3 * cover[BUILT_UP] + cover[WATER]
    return share * (1 - hidden.clip(0, 1))


def _illumination(landscape: Landscape, azimuth: float, elevation: float) -> np.ndarray:
    """Factor by slope and sun: 40 % of the ratio of cosines (Teillet et al. 1982), the rest is corrected."""
    zenith, azimuth = np.radians(90 - elevation), np.radians(azimuth)
    incidence = np.cos(zenith) * np.cos(landscape.slope) + np.sin(zenith) * np.sin(landscape.slope) * np.cos(
        azimuth - landscape.aspect
    )
    ratio = incidence.clip(0, None) / np.cos(zenith)
    return (1 + 0.4 * (ratio - 1)).clip(0.6, 1.4).astype(np.float32)


def _classify(layers, landscape: Landscape, sky: _Sky, snow: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The scene classification at 20 m, uint8, with the codes of Sen2Cor; later rules win."""
    red, infrared = block_mean(layers["red"], 2), layers["nir08"]
    cloud, cirrus, shadow = (block_mean(layer, 2) for layer in (sky.cloud, sky.cirrus, sky.shadow))
    ndvi = (infrared - red) / (infrared + red)
    code = np.where(ndvi > 0.4, 4, 5)
    code[block_mean(landscape.cover[WATER], 2) > 0.5] = 6
    code[(infrared < 0.13) & (block_mean(light, 2) < 0.72)] = 2
    code[shadow > _SHADOW] = 3
    code[block_mean(snow, 2) > 0.45] = 11
    code[cirrus > _THIN] = 10
    code[cloud > _LOW] = 7
    code[cloud > _MEDIUM] = 8
    code[cloud > _HIGH] = 9
    return code.astype(np.uint8)


def _atmosphere(rng, landscape: Landscape, weather: Weather, hour: int, date: np.datetime64):
    """Aerosol optical thickness (1) and water vapour (cm) at 20 m: smooth, less of both higher up."""
    shape = block_mean(landscape.elevation, 2).shape
    above = (block_mean(landscape.elevation, 2) - 850) / 1000
    month = int(str(date)[5:7])
    aerosol = 0.09 + 0.05 * (4 <= month <= 9) + abs(rng.normal(0, 0.04))
    aot = aerosol * (1 - 0.3 * above) + 0.004 * power_law_field(rng, shape, 4)
    # Precipitable water from the dew point at the ground, after Reitan (1963).
    dew = float(weather.at_site("d2m")[hour]) - 273.15
    wvp = np.exp(0.1102 + 0.0614 * dew) * (1 - 0.35 * above) + 0.01 * power_law_field(rng, shape, 4)
    return {"aot": aot.clip(0.01), "wvp": wvp.clip(0.05)}
