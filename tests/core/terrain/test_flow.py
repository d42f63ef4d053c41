"""Depressions, catchment areas and wetness where they are known; no water is lost."""

from __future__ import annotations

import numpy as np
import pytest
from minicuber.core.terrain import flow

RNG = np.random.default_rng(11)


def hills(shape=(60, 70)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 500 + 20 * np.sin(x / 6) + 15 * np.cos(y / 5) + RNG.normal(0, 2, shape)


def has_a_way_out(surface) -> bool:
    """Whether every inner pixel has a lower neighbour."""
    rows, columns = surface.shape
    neighbours = [
        surface[i : rows - 2 + i, j : columns - 2 + j] for i in range(3) for j in range(3) if (i, j) != (1, 1)
    ]
    inner = surface[1:-1, 1:-1]
    at_hole = ~np.isfinite(sum(neighbours)) | ~np.isfinite(inner)
    return bool(np.all((np.min(neighbours, axis=0) < inner) | at_hole))


def test_depression_is_filled_to_its_outlet():
    z = np.full((9, 9), 10.0)
    z[2:7, 2:7] = 3.0
    z[4, 7] = 6.0  # the lowest way out, over
    z[4, 8] = 5.0
    surface = flow.filled(z)
    np.testing.assert_allclose(surface[2:7, 2:7], 6.0, atol=1e-9)
    assert surface[4, 7] == 6.0
    assert np.all(surface >= z)
    assert has_a_way_out(surface)


def test_filling_changes_nothing_where_water_leaves_and_is_done_once():
    z = np.add.outer(np.arange(20.0), np.arange(30.0))
    np.testing.assert_array_equal(flow.filled(z), z)
    once = flow.filled(hills())
    np.testing.assert_allclose(flow.filled(once), once, atol=1e-9)


def test_level_ground_drains():
    surface = flow.filled(np.full((40, 50), 200.0))
    assert has_a_way_out(surface)
    np.testing.assert_allclose(surface, 200.0, atol=1e-9)


@pytest.mark.parametrize("holes", [False, True])
def test_no_water_is_lost_or_made(holes):
    z = hills()
    if holes:
        z[10:14, 20:30] = np.nan
        z[40, 3] = np.nan
    surface = flow.filled(z)
    area, leaving = flow.catchment_area(surface, 10.0, 10.0)
    n = int(np.isfinite(z).sum())
    np.testing.assert_allclose(leaving, n * 100.0, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(area), np.isnan(z))
    assert np.nanmin(area) >= 100.0
    assert has_a_way_out(surface)


def test_inclined_plane_has_the_area_of_the_way_above():
    # Rows from the top: n pixels of water come down to the n-th, far from the sides.
    y, x = np.mgrid[:40, :201]
    z = 1000 - 0.2 * 10 * y + 0.0 * x
    area, _ = flow.catchment_area(z, 10.0, 10.0)
    np.testing.assert_allclose(area[:, 100], 100.0 * np.arange(1, 41), rtol=1e-9)
    wetness = flow.wetness(z, 10.0, 10.0)
    np.testing.assert_allclose(wetness[1:-1, 100], np.log(10.0 * np.arange(2, 40) / 0.2), rtol=1e-9)


def test_valley_gathers_its_slopes_and_is_the_wettest():
    # Walls 0.3, floor 0.05: the middle takes what falls on both sides, but for what the sides still hold.
    y, x = np.mgrid[:81, -40:41]
    z = 500 + 0.3 * 10 * np.abs(x) - 0.05 * 10 * y
    area, leaving = flow.catchment_area(flow.filled(z), 10.0, 10.0)
    wetness = flow.wetness(z, 10.0, 10.0)
    assert np.all(np.nanargmax(wetness[1:-1], axis=1) == 40)
    np.testing.assert_allclose(area, area[:, ::-1], rtol=1e-9)  # both sides alike
    np.testing.assert_allclose(leaving, area.size * 100.0, rtol=1e-12)
    np.testing.assert_array_less(area[1:-1, 40][:-1], area[1:-1, 40][1:])
    outlet = area[-1, 40] / (area.size * 100.0)
    assert 0.8 < outlet <= 1.0 + 1e-9
    # Of a wall alone: the water of the pixels above it, about 40 - n of them.
    assert area[60, 60] == pytest.approx(100.0 * 20, rel=0.15)


def test_wetness_needs_all_neighbours_and_has_a_limit_on_level_ground():
    z = np.full((30, 30), 100.0)
    z[15, 15] = np.nan
    wetness = flow.wetness(z, 10.0, 10.0)
    missing = np.ones(z.shape, bool)
    missing[1:-1, 1:-1] = False
    missing[14:17, 14:17] = True
    np.testing.assert_array_equal(np.isnan(wetness), missing)
    assert np.nanmax(wetness) <= np.log(30 * 30 * 10.0 / flow.LEAST_SLOPE)
    assert np.nanmin(wetness) >= np.log(10.0 / flow.LEAST_SLOPE) - 1e-9


def test_a_model_of_holes_is_no_trouble():
    z = np.full((5, 6), np.nan)
    area, leaving = flow.catchment_area(flow.filled(z), 10.0, 10.0)
    assert np.isnan(area).all() and leaving == 0.0
    assert np.isnan(flow.wetness(z, 10.0, 10.0)).all()
