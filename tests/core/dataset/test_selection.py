"""Which pixels and patches are taken, beside plain numpy; draws that depend on the seed and the cube's name alone."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import shapely
import xarray as xr
from minicuber.core.dataset.cubes import CubeData
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.selection import select_units
from minicuber.core.errors import InputError
from pyproj import Geod, Transformer

LEFT, TOP = 400_000.0, 5_200_000.0


@pytest.fixture
def select(make):
    def selected(path, **given):
        with CubeData(path) as cube:
            return select_units(cube, ExportParameters(**given))

    return selected


def pixels(units) -> set[tuple[int, int]]:
    return set(zip(units.row.tolist(), units.column.tolist(), strict=True))


@pytest.fixture
def places(tmp_path):
    def written(rows, name="places.jsonl", crs="EPSG:4326"):
        move = Transformer.from_crs("EPSG:32632", crs, always_xy=True).transform
        path = tmp_path / name
        with open(path, "w") as file:
            for shape, value in rows:
                moved = shapely.transform(shape, lambda xy: np.stack(move(xy[:, 0], xy[:, 1]), axis=1))
                file.write(json.dumps({"wkb": shapely.to_wkb(moved, hex=True), "value": value}) + "\n")
        return str(path)

    return written


def square(row, column, height, width):
    """The ground of some pixels of 20 m."""
    return shapely.box(
        LEFT + 20 * column, TOP - 20 * (row + height), LEFT + 20 * (column + width), TOP - 20 * row
    )


def test_where_takes_the_pixels_that_numpy_takes(make, select, monkeypatch):
    path = make(shape=(150, 7))
    monkeypatch.setattr("minicuber.core.dataset.selection.VALUES_AT_ONCE", 40 * 7 * 66)
    units, _ = select(path, where="forest > 0.4 and count(s2_mask == 0) > 31 or esawc_lc in (80,)")
    with xr.open_dataset(path) as cube:
        expected = (cube.forest > 0.4) & ((cube.s2_mask == 0).sum("time") > 31) | (cube.esawc_lc == 80)
        rows, columns = np.nonzero(expected.transpose("y", "x").values)
    assert pixels(units) == set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert 0 < len(units) < 1050


def test_a_cube_from_south_to_north_is_counted_from_the_north(make, select):
    plain, _ = select(make("up"), where="forest > 0.5")
    turned, _ = select(
        make("down", change=lambda cube: cube.isel(y=slice(None, None, -1))), where="forest > 0.5"
    )
    assert pixels(plain) == pixels(turned)


def test_patches_need_their_share_of_pixels(make, select):
    path = make(shape=(30, 33))
    with xr.open_dataset(path) as cube:
        forest = cube.forest.values > 0.5
    for share in (0.0, 0.45, 0.5, 1.0):
        units, dropped = select(
            path, where="forest > 0.5", unit="patch", patch_size=4, patch_overlap=2, patch_share=share
        )
        expected = {
            (row, column)
            for row in range(0, 27, 2)
            for column in range(0, 30, 2)
            if forest[row : row + 4, column : column + 4].mean() >= max(share, 1e-9)
        }
        assert pixels(units) == expected
        assert len(units) + dropped.total() == 14 * 15


def test_polygons_and_points_in_another_crs_choose_pixels(make, select, places):
    path = make(shape=(20, 20))
    units, _ = select(path, places=places([(square(3, 5, 4, 2), "x")]))
    assert pixels(units) == {(row, column) for row in range(3, 7) for column in (5, 6)}
    points = [(shapely.Point(LEFT + 20 * 7.3, TOP - 20 * 2.6), 1), (shapely.Point(LEFT - 500, TOP), 2)]
    units, _ = select(path, places=places(points, "points.jsonl"))
    assert pixels(units) == {(2, 7)}
    both, _ = select(path, places=places([(square(3, 5, 4, 2), "x")]), where="forest > 0.5")
    assert pixels(both) < {(row, column) for row in range(3, 7) for column in (5, 6)}


def test_patches_lie_around_points_and_those_beyond_the_edge_are_counted(make, select, places):
    points = [(shapely.Point(LEFT + 20 * 7.3, TOP - 20 * 9.6), 1), (shapely.Point(LEFT + 25, TOP - 25), 2)]
    units, dropped = select(make(shape=(20, 20)), places=places(points), unit="patch", patch_size=6)
    assert pixels(units) == {(9 - 3, 7 - 3)}
    assert dropped["patch beyond the cube's edge"] == 1


def test_draws_depend_on_seed_and_name_and_place_alone(make, select, tmp_path):
    path = make("one", shape=(20, 20))
    first, dropped = select(path, max_samples=30, seed=4)
    assert len(first) == 30
    assert dropped["not drawn"] == 370
    again, _ = select(make("one", folder="elsewhere", shape=(20, 20), seed=9), max_samples=30, seed=4)
    assert pixels(again) == pixels(first)
    assert pixels(select(path, max_samples=30, seed=5)[0]) != pixels(first)
    assert pixels(select(make("two", shape=(20, 20)), max_samples=30, seed=4)[0]) != pixels(first)
    # Who asks for fewer, or leaves some out, has of the others the same.
    assert pixels(select(path, max_samples=10, seed=4)[0]) < pixels(first)
    some, _ = select(path, max_samples=30, seed=4, where="forest > 0.2")
    with xr.open_dataset(path) as cube:
        forest = cube.forest.values
    assert {place for place in pixels(first) if forest[place] > 0.2} <= pixels(some)


def test_all_pixels_have_the_same_chance(make, select):
    path = make("one", shape=(8, 8))
    count = Counter(
        place for seed in range(100) for place in pixels(select(path, max_samples=16, seed=seed)[0])
    )
    assert len(count) == 64
    assert 8 < min(count.values()) <= max(count.values()) < 45


def test_classes_are_drawn_alike_and_at_most_so_many(make, select):
    path = make(shape=(30, 30))
    with xr.open_dataset(path) as cube:
        classes = cube.esawc_lc.values
    units, _ = select(path, strata="esawc_lc", per_class=13)
    assert Counter(classes[units.row, units.column].tolist()) == {10: 13, 30: 13, 80: 13}
    units, _ = select(path, strata="esawc_lc", max_samples=31)
    count = Counter(classes[units.row, units.column].tolist())
    assert count.total() == 31
    assert set(count.values()) <= {10, 11}


def test_regions_are_strata_and_what_lies_in_none_is_left_out(make, select, places):
    path = places([(square(0, 0, 10, 5), "west"), (square(0, 5, 10, 3), "east")])
    units, _ = select(make(shape=(10, 10)), places=path, strata="region", per_class=4)
    assert Counter("west" if column < 5 else "east" for _, column in pixels(units)) == {"west": 4, "east": 4}


@pytest.mark.parametrize("more", [{}, {"strata": "esawc_lc", "per_class": 9}, {"max_samples": 20}])
def test_samples_keep_their_distance(make, select, more):
    path = make(shape=(40, 40))
    units, _ = select(path, min_distance=75.0, **more)
    geod = Geod(ellps="WGS84")
    one, other = np.triu_indices(len(units), 1)
    _, _, distance = geod.inv(units.lon[one], units.lat[one], units.lon[other], units.lat[other])
    assert distance.min() >= 75 * (1 - 1e-6)
    if not more:  # and nobody else would have had room
        every, _ = select(path)
        lon, lat = np.meshgrid(np.arange(len(every)), np.arange(len(units)))
        _, _, reach = geod.inv(every.lon[lon], every.lat[lon], units.lon[lat], units.lat[lat])
        assert reach.min(axis=0).max() < 75
    if "max_samples" in more:
        assert len(units) == 20


def test_samples_keep_their_distance_across_cubes(make, export, samples_of):
    cubes = [make("a", shape=(10, 10)), make("b", shape=(10, 10), left=LEFT + 200, seed=2)]
    places = {tuple(a["lonlat"]) for _, a in samples_of(export(cubes, min_distance=60.0, stride=30))}
    lon, lat = np.array(sorted(places)).T
    one, other = np.triu_indices(len(lon), 1)
    _, _, distance = Geod(ellps="WGS84").inv(lon[one], lat[one], lon[other], lat[other])
    assert len(lon) > 12
    assert distance.min() >= 60 * (1 - 1e-6)


def test_an_unknown_stratum_is_refused_with_those_that_there_are(make, select):
    with pytest.raises(InputError, match="STRATA is no variable") as error:
        select(make(), strata="landcover", per_class=3)
    assert "dem, forest, esawc_lc" in error.value.hint
