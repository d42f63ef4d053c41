"""Where the sun stands."""

from __future__ import annotations

import numpy as np


def sun_position(
    times: np.ndarray, lon: np.ndarray | float, lat: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees clockwise from north) and elevation (degrees above the horizon) of the sun.

    `times`: datetime64 in UTC; `lon`, `lat`: degrees east and north; all broadcast against each other.
    The Astronomical Almanac's approximation (Michalsky 1988, doi:10.1016/0038-092X(88)90045-X), good to
    0.01 degrees; without refraction.
    """
    since_2000 = np.asarray(times).astype("datetime64[ms]") - np.datetime64("2000-01-01T12:00", "ms")
    days = since_2000 / np.timedelta64(1, "D")
    mean_longitude = 280.460 + 0.9856474 * days
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    sidereal_hours = 18.697375 + 24.0657098242 * days
    hour_angle = np.radians(15 * sidereal_hours + lon) - ascension
    phi = np.radians(lat)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arcsin(np.clip(up, -1, 1)))
