"""Which scenes are duplicates, which make one date, and which comes first in it."""

from __future__ import annotations

import datetime as dt

from minicuber.core.grid import Grid, transform_bounds
from minicuber.core.sources import sentinel2 as s2
from minicuber.core.sources.image_axis import image_axis, without_duplicates
from minicuber.core.timeline import UTC


def make_scene(
    name,
    *,
    tile="32TMT",
    platform="sentinel-2a",
    orbit=108,
    baseline="02.14",
    minute=30,
    day=1,
    bounds=(0, 0, 1000, 1000),
    crs="EPSG:32632",
    sensing=None,
    hour=10,
    level="L2A",
):
    return s2.Scene(
        id=name,
        instant=dt.datetime(2021, 6, day, hour, minute, tzinfo=UTC),
        level=level,
        tile=tile,
        sensing=sensing or f"202106{day:02d}T{hour:02d}{minute:02d}00",
        baseline=baseline,
        platform=platform,
        orbit=orbit,
        cloud_cover=None,
        crs=crs,
        bounds=bounds,
        lonlat=(7, 46, 8, 47),
        files={},
        angles={},
    )


GRID = Grid("EPSG:32632", 0.0, 1000.0, 10.0, 10.0, 100, 100)


def ids(scenes):
    return [scene.id for scene in scenes]


def test_only_same_tile_and_sensing_start_is_a_duplicate_newest_baseline_wins():
    old, new = make_scene("a_0", baseline="02.14"), make_scene("a_1", baseline="05.00")
    other_tile = make_scene("b", tile="32TLT")
    later = make_scene("c", minute=40)
    assert ids(without_duplicates([old, new, other_tile, later])) == ["a_1", "b", "c"]


def test_split_granules_of_one_baseline_are_both_kept():
    assert len(without_duplicates([make_scene("a"), make_scene("b")])) == 2


def test_top_of_atmosphere_never_stands_beside_or_before_surface_reflectance():
    toa, surface = make_scene("a_L1C", level="L1C", baseline="05.00"), make_scene("b_L2A", baseline="02.14")
    assert ids(without_duplicates([toa, surface])) == ["b_L2A"]
    assert ids(without_duplicates([toa])) == ["a_L1C"]


def test_scenes_without_a_tile_are_nobodys_duplicate():
    assert (
        len(
            without_duplicates(
                [make_scene("a", tile="", baseline="02.14"), make_scene("b", tile="", baseline="05.00")]
            )
        )
        == 2
    )


def test_newest_baseline_is_a_number_not_the_latest_in_the_list():
    scenes = [
        make_scene("x", baseline="05.09"),
        make_scene("y", baseline="05.10"),
        make_scene("z", baseline="04.00"),
    ]
    assert ids(without_duplicates(scenes)) == ["y"]


def test_pass_with_the_largest_overlap_comes_first_then_crs_overlap_id():
    small = make_scene("a_small", platform="sentinel-2b", orbit=65, bounds=(0, 0, 300, 1000))
    west = make_scene("z_west", tile="32TLT", bounds=(0, 0, 600, 1000))
    east = make_scene("b_east", tile="32TMT", bounds=(500, 0, 1000, 1000))
    (date,) = image_axis([small, east, west], GRID)
    assert ids(date.scenes) == ["z_west", "b_east", "a_small"]


def test_within_a_pass_the_grids_own_crs_comes_before_larger_overlap():
    west, south, east, north = transform_bounds((0, 0, 1000, 1000), "EPSG:32632", "EPSG:32631")
    foreign = make_scene("a", tile="31TGN", crs="EPSG:32631", bounds=(west, south, east, north))
    own = make_scene("b", bounds=(0, 0, 500, 1000))
    (date,) = image_axis([foreign, own], GRID)
    assert ids(date.scenes) == ["b", "a"]


def test_one_step_per_date_in_order_and_dates_are_utc():
    scenes = [make_scene("c", day=3), make_scene("a", day=1), make_scene("b", day=1, tile="32TLT")]
    dates = image_axis(scenes, GRID)
    assert [date.day.isoformat() for date in dates] == ["2021-06-01", "2021-06-03"]
    assert ids(dates[0].scenes) == ["a", "b"]
