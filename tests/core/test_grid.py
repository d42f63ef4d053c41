"""The grid: zones, lattices, and that an extent is covered by whole pixels, no more and no less."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.errors import InputError
from minicuber.core.grid import (
    Grid,
    Lattice,
    centre_lonlat,
    checked_crs,
    checked_projected_crs,
    grid_around,
    grid_over,
    overlap_area,
    transform_bounds,
    utm_crs,
)
from pyproj import Transformer

UTM32 = "EPSG:32632"


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (7.44, 46.95, "EPSG:32632"),
        (5.32, 60.39, "EPSG:32632"),  # Bergen: 32V reaches to 3 E; plain arithmetic says 31
        (2.9, 60.0, "EPSG:32631"),
        (5.0, 55.9, "EPSG:32631"),
        (15.6, 78.2, "EPSG:32633"),  # Longyearbyen
        (8.9, 78.0, "EPSG:32631"),
        (9.0, 78.0, "EPSG:32633"),
        (21.0, 78.0, "EPSG:32635"),
        (33.0, 78.0, "EPSG:32637"),
        (42.0, 78.0, "EPSG:32638"),
        (-70.0, -33.0, "EPSG:32719"),
        (180.0, -17.0, "EPSG:32701"),
        (-180.0, -17.0, "EPSG:32701"),
        (179.99, -17.0, "EPSG:32760"),
        (12.0, 0.0, "EPSG:32633"),
    ],
)
def test_zone_follows_mgrs_with_norway_and_svalbard(lon, lat, crs):
    assert utm_crs(lon, lat) == crs


@pytest.mark.parametrize("lat", [84.1, -80.1])
def test_no_zone_beyond_the_limits_of_utm(lat):
    with pytest.raises(InputError, match="UTM is not defined"):
        utm_crs(0, lat)


@given(
    st.floats(300_000, 700_000),
    st.floats(4_000_000, 6_000_000),
    st.floats(1, 5_000),
    st.floats(1, 5_000),
    st.sampled_from([10.0, 20.0, 60.0, 9.995, 30.0]),
    st.sampled_from([0.0, 15.0, 5.0, 399_960.0]),
)
def test_grid_is_the_smallest_lattice_rectangle_that_contains_the_extent(
    west, south, width, height, size, anchor
):
    bounds = (west, south, west + width, south + height)
    grid = grid_over(bounds, UTM32, UTM32, Lattice(size, size, anchor, anchor))
    slack = 0.0101 * size
    assert grid.bounds[0] <= bounds[0] + slack
    assert grid.bounds[1] <= bounds[1] + slack
    assert grid.bounds[2] >= bounds[2] - slack
    assert grid.bounds[3] >= bounds[3] - slack
    # One pixel less on any side would lose a part of the extent.
    if grid.width > 1:
        assert grid.bounds[0] + size > bounds[0] and grid.bounds[2] - size < bounds[2]
    if grid.height > 1:
        assert grid.bounds[1] + size > bounds[1] and grid.bounds[3] - size < bounds[3]
    for edge in (grid.left, grid.top):
        steps = (edge - anchor) / size
        assert abs(steps - round(steps)) < 1e-6


def test_edges_that_rounding_moved_do_not_add_a_pixel():
    grid = grid_over(
        (400_000.00001, 5_200_000.0, 401_280.0 + 1e-5, 5_201_280.0), UTM32, UTM32, Lattice(10, 10)
    )
    assert grid.shape == (128, 128)


def test_outline_is_densified_not_only_its_corners():
    # At high latitude the parallels bow by many pixels between the corners of a lon/lat box.
    box = (8.0, 64.0, 10.0, 64.5)
    grid = grid_over(box, "EPSG:4326", UTM32, Lattice(10, 10))
    to_utm = Transformer.from_crs("EPSG:4326", UTM32, always_xy=True)
    lon = np.linspace(8, 10, 20_001)
    for lat in (64.0, 64.5):
        x, y = to_utm.transform(lon, np.full_like(lon, lat))
        assert x.min() >= grid.bounds[0] - 0.1 and x.max() <= grid.bounds[2] + 0.1
        assert y.min() >= grid.bounds[1] - 0.1 and y.max() <= grid.bounds[3] + 0.1


def test_pixels_around_the_centre_ties_go_west_and_south():
    # Centre 105, 205; a width of 1 pixel of 10 m: centres 105 and 205 exactly. A width of 2 is a tie.
    one = grid_around((100, 200, 110, 210), UTM32, UTM32, Lattice(10, 10), 1, 1)
    assert one.bounds == (100, 200, 110, 210)
    two = grid_around((100, 200, 110, 210), UTM32, UTM32, Lattice(10, 10), 2, 2)
    assert two.bounds == (90, 190, 110, 210)


@given(st.floats(0, 1000), st.floats(0, 1000), st.integers(1, 200), st.integers(1, 200))
def test_pixels_around_the_centre_are_the_nearest(x, y, width, height):
    grid = grid_around((x, y, x, y), UTM32, UTM32, Lattice(10, 10), width, height)
    west, south, east, north = grid.bounds
    assert grid.shape == (height, width)
    assert abs((west + east) / 2 - x) <= 5.0001
    assert abs((south + north) / 2 - y) <= 5.0001


def test_centres_are_of_pixels_y_descends():
    grid = Grid(UTM32, 100.0, 200.0, 10.0, 20.0, 3, 2)
    assert grid.x.tolist() == [105.0, 115.0, 125.0]
    assert grid.y.tolist() == [190.0, 170.0]
    assert grid.geobox.coordinates["x"].values.tolist() == grid.x.tolist()
    assert grid.geobox.coordinates["y"].values.tolist() == grid.y.tolist()


def test_grid_survives_json_and_is_hashable():
    grid = grid_over((7.4, 46.9, 7.5, 47.0), "EPSG:4326", UTM32, Lattice(10, 10, 3.25, 7.5))
    again = Grid(**json.loads(json.dumps(grid.to_json())))
    assert again == grid
    assert len({again, grid}) == 1


@pytest.mark.parametrize(
    "bounds", [(1, 1, 1, 2), (2, 1, 1, 2), (1, 2, 3, 1), (math.nan, 0, 1, 1), (0, 0, math.inf, 1)]
)
def test_empty_or_infinite_extent_is_refused(bounds):
    with pytest.raises(InputError, match="EXTENT"):
        grid_over(bounds, UTM32, UTM32, Lattice(10, 10))


def test_huge_size_is_refused_before_anything_is_allocated():
    with pytest.raises(InputError, match="Choose a smaller extent"):
        grid_over((5, 45, 11, 48), "EPSG:4326", UTM32, Lattice(10, 10))


def test_geographic_crs_is_refused_for_a_cube():
    with pytest.raises(InputError, match="projected"):
        checked_projected_crs("EPSG:4326")
    assert checked_projected_crs("epsg:2056") == "EPSG:2056"


def test_unknown_crs_is_named():
    with pytest.raises(InputError, match="EPSG:999999"):
        checked_crs("EPSG:999999")


def test_extent_outside_the_projection_is_said_so():
    with pytest.raises(InputError, match="cannot be transformed"):
        transform_bounds((95, 0, 96, 1), "EPSG:4326", "+proj=ortho +lat_0=0 +lon_0=-90")


def test_centre_is_computed_in_the_extents_crs():
    lon, lat = centre_lonlat((2_600_000, 1_200_000, 2_600_100, 1_200_100), "EPSG:2056")
    assert abs(lon - 7.4393) < 1e-3
    assert abs(lat - 46.9516) < 1e-3


def test_overlap_of_disjoint_rectangles_is_zero():
    assert overlap_area((0, 0, 1, 1), (2, 0, 3, 1)) == 0
    assert overlap_area((0, 0, 2, 2), (1, 1, 3, 3)) == 1
