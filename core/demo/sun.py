"""Where the sun stands."""

from __future__ import annotations

import numpy as np


def sun_position(
    times: np.ndarray, lon: np.ndarray | float, lat: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees clockwise from north) and elevation (degrees above the horizon) of the sun.

    `times`: datetime64 in UTC; `lon`, `lat`: degrees east and north; all broadcast against each other.
    Fourier series of Spencer (1971) for declination and equation of time, without refraction; good to
    about 0.3 degrees.
    """
    times = np.asarray(times).astype("datetime64[s]")
    midnight = times.astype("datetime64[D]")
    hours = (times - midnight) / np.timedelta64(1, "h")
    day = (midnight - times.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    g = 2 * np.pi / 365.25 * (day + (hours - 12) / 24)
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * np.cos(g)
        - 0.032077 * np.sin(g)
        - 0.014615 * np.cos(2 * g)
        - 0.040849 * np.sin(2 * g)
    )
    hour_angle = np.radians(15 * (hours + minutes / 60 - 12) + lon)
    phi = np.radians(lat)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    return np.degrees(np.arctan2(east, north)) % 360, np.degrees(np.arcsin(np.clip(up, -1, 1)))
