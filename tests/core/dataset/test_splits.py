"""No pixel and date of a validation or test target lies in a training context or target, whatever the split."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import numpy as np
import pyogrio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minicuber.core.dataset.leak import without_leaks
from minicuber.core.dataset.overlaps import overlapping_cubes, places_of
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.plan import DROPPED, CubePlan
from minicuber.core.dataset.selection import Units
from minicuber.core.dataset.splits import assign_splits
from minicuber.core.errors import InputError
from minicuber.core.grid import Grid
from minicuber.core.progress import Progress
from pyproj import Geod, Transformer
from shapely import box, transform

UTM32, UTM33 = "EPSG:32632", "EPSG:32633"
BORDER = 728_000.0, 5_210_000.0  # 12 degrees east, in zone 32


def plan(
    name="a", left=400_000.0, top=5_200_000.0, side=6, size=1, apart=1, crs=UTM32, resolution=10.0, context=3, target=2,
    n_dates=30, stride=1, label="", start="2019-01-01",
) -> CubePlan:  # fmt: skip
    grid = Grid(crs, left, top, resolution, resolution, side, side)
    row, column = (
        each.ravel().astype(np.int32)
        for each in np.meshgrid(
            np.arange(0, side - size + 1, apart), np.arange(0, side - size + 1, apart), indexing="ij"
        )
    )
    x, y = left + (column + size / 2) * resolution, top - (row + size / 2) * resolution
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    days = np.datetime64(start) + 5 * np.arange(n_dates)
    starts = np.arange(0, n_dates - context - target + 1, stride, dtype=np.int32)
    units = Units(row, column, lon, lat)
    return CubePlan(grid.bounds, label or name, name, "", grid, days, size, context, target, units, starts)


def split(plans, kind, options=None, seed=0, **more):
    p = ExportParameters(split=kind, split_options=options or {}, seed=seed, **more)
    return assign_splits(plans, p, Progress())


def footprint(p: CubePlan, unit: int):
    """The ground of a unit as a polygon of zone 32, a little smaller than it is."""
    grid, r = p.grid, p.grid.resolution_x
    left, top = grid.left + p.units.column[unit] * r, grid.top - p.units.row[unit] * r
    ground = box(left + 0.02 * r, top - (p.size - 0.02) * r, left + (p.size - 0.02) * r, top - 0.02 * r)
    if grid.crs == UTM32:
        return ground
    move = Transformer.from_crs(grid.crs, UTM32, always_xy=True).transform
    return transform(ground, lambda xy: np.stack(move(xy[:, 0], xy[:, 1]), axis=1))


def leaks(plans) -> int:
    """The pairs of a held sample and a training sample that share ground and a day, one by one."""
    samples = defaultdict(list)
    grounds = {}
    for number, p in enumerate(plans):
        splits = p.splits()
        for unit, window in zip(*np.nonzero(splits != DROPPED), strict=True):
            grounds.setdefault((number, unit), footprint(p, unit))
            begin = p.starts[window]
            days = p.days[begin : begin + p.context + p.target]
            train = splits[unit, window] == 0
            samples[train].append(((number, unit), set(days if train else days[p.context :])))
    by_unit = defaultdict(set)
    for unit, days in samples[True]:
        by_unit[unit] |= days
    return sum(
        bool(days & known) and grounds[unit].intersects(grounds[other])
        for unit, days in samples[False]
        for other, known in by_unit.items()
    )


places = st.sampled_from(
    [
        [plan("a")],
        [plan("a"), plan("b", left=400_030.0, top=5_199_980.0)],
        [plan("a"), plan("a", label="z_a", left=400_033.0)],
        [plan("a", *BORDER), plan("b", *(730_020.0, 5_209_990.0))],
        [plan("p", size=3, apart=3), plan("q", size=2, apart=2, left=400_010.0)],
        [plan("p", size=3, apart=1)],
        [plan("a", stride=2), plan("late", start="2019-01-03", left=400_020.0)],
    ]
)
kinds = st.sampled_from(
    [
        ("random", {"unit": "cube", "fractions": [0.4, 0.3, 0.3]}),
        ("random", {"unit": "pixel", "fractions": [0.4, 0.3, 0.3]}),
        ("spatial", {"block_m": 20, "buffer_m": 0, "fractions": [0.4, 0.3, 0.3]}),
        ("spatial", {"block_m": 25, "buffer_m": 12, "fractions": [0.4, 0.3, 0.3]}),
        ("temporal", {"val_from": "2019-03-01", "test_from": "2019-04-01"}),
        ("temporal", {"test_from": "2019-04-01"}),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places, kinds, st.integers(0, 50))
def test_no_split_leaks(plans, kind, seed):
    for each in plans:
        each.keep = None
    _, check = split(plans, *kind, seed=seed)
    assert check.leaks == 0
    assert leaks(plans) == 0


def test_the_check_finds_what_leaks():
    """A check that finds nothing proves nothing."""
    one, other = plan("a"), plan("b", left=400_030.0)
    other.unit_split[:] = 2
    assert leaks([one, other]) > 0
    assert without_leaks([one, other], [(0, 1)]).dropped > 0
    assert leaks([one, other]) == 0
    assert other.count()[2] > 0


def across_zones() -> list[CubePlan]:
    x, y = Transformer.from_crs(UTM32, UTM33, always_xy=True).transform(BORDER[0] + 20, BORDER[1] - 20)
    return [plan("a", *BORDER), plan("b", x - x % 10, y - y % 10, crs=UTM33)]


def test_cubes_that_overlap_across_zones_are_one_place():
    plans = [*across_zones(), plan("far", left=500_000.0)]
    pairs = overlapping_cubes(plans)
    assert pairs == [(0, 1)]
    assert places_of(3, pairs).tolist() == [0, 0, 1]
    for seed in range(20):
        split(plans, "random", {"fractions": [0.4, 0.3, 0.3]}, seed=seed)
        assert set(plans[0].unit_split) == set(plans[1].unit_split)
        assert len(set(plans[0].unit_split)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_pixels_across_zones_do_not_leak(seed):
    plans = across_zones()
    dropped, _ = split(plans, "random", {"unit": "pixel", "fractions": [0.5, 0.25, 0.25]}, seed=seed)
    assert leaks(plans) == 0
    assert dropped["pixel and date that training has"] > 0


def test_cubes_side_by_side_are_two_places():
    assert overlapping_cubes([plan("a"), plan("b", left=400_060.0)]) == []
    assert overlapping_cubes([plan("a"), plan("b", left=400_050.0)]) == [(0, 1)]


def test_chains_of_overlapping_cubes_are_one_place():
    plans = [plan(name, left=400_000.0 + 50 * n) for n, name in enumerate("abcd")]
    assert places_of(4, overlapping_cubes(plans)).tolist() == [0, 0, 0, 0]


def test_the_same_pixel_of_two_cubes_is_in_one_split():
    plans = [plan("a"), plan("b", left=400_020.0, top=5_199_970.0)]
    split(plans, "random", {"unit": "pixel"}, seed=3)
    found = {}
    for p in plans:
        for row, column, s in zip(p.units.row, p.units.column, p.unit_split, strict=True):
            place = (p.grid.left + 10 * column, p.grid.top - 10 * row)
            assert found.setdefault(place, s) == s
    assert len(found) < 72


def test_random_draws_places_not_windows_and_by_name_alone():
    plans = [plan(f"cube{n}", left=400_000.0 + 1000 * n) for n in range(60)]
    split(plans, "random", seed=1)
    drawn = {p.name: p.unit_split[0] for p in plans}
    assert all(len(set(p.unit_split)) == 1 and p.keep is None for p in plans)
    count = Counter(drawn.values())
    assert count[0] > 30 and count[1] and count[2]
    split(plans[40:][::-1], "random", seed=1)
    assert {p.name: p.unit_split[0] for p in plans[40:]} == {p.name: drawn[p.name] for p in plans[40:]}


def test_the_buffer_is_a_distance_over_ground():
    plans = [plan("a", side=40, resolution=30.0), plan("b", side=40, resolution=30.0, left=401_260.0)]
    dropped, _ = split(
        plans, "spatial", {"block_m": 400, "buffer_m": 100, "fractions": [0.4, 0.3, 0.3]}, seed=2
    )
    lon = np.concatenate([p.units.lon for p in plans])
    lat = np.concatenate([p.units.lat for p in plans])
    kept = np.concatenate([p.unit_split for p in plans])
    whole = [plan("a", side=40, resolution=30.0), plan("b", side=40, resolution=30.0, left=401_260.0)]
    split(whole, "spatial", {"block_m": 400, "buffer_m": 0, "fractions": [0.4, 0.3, 0.3]}, seed=2)
    before = np.concatenate([p.unit_split for p in whole])
    geod = Geod(ellps="WGS84")
    for unit in np.flatnonzero(before > 0)[::37]:
        others = np.flatnonzero(before != before[unit])
        same = np.full(len(others), 1.0)
        _, _, distance = geod.inv(lon[unit] * same, lat[unit] * same, lon[others], lat[others])
        assert (kept[unit] == DROPPED) == (distance.min() <= 100)
    assert (kept[before == 0] == 0).all()
    n_windows = len(plans[0].starts)
    assert dropped["within 100 m of another split"] == (kept == DROPPED).sum() * n_windows


def test_blocks_are_squares_of_equal_area():
    p = plan("a", side=60, resolution=30.0)
    split([p], "spatial", {"block_m": 300, "buffer_m": 0, "fractions": [0.4, 0.3, 0.3]})
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True).transform(p.units.lon, p.units.lat)
    blocks = defaultdict(set)
    for block, s in zip(zip(x // 300, y // 300, strict=True), p.unit_split, strict=True):
        blocks[block].add(s)
    assert all(len(splits) == 1 for splits in blocks.values())
    assert len(set.union(*blocks.values())) == 3


def test_windows_across_two_periods_are_dropped_and_counted():
    p = plan("a", n_dates=60)
    dropped, _ = split([p], "temporal", {"val_from": "2019-04-01", "test_from": "2019-07-01"})
    for window, start in enumerate(p.starts):
        days = p.days[start + p.context : start + p.context + p.target]
        expected = {
            0 if d < np.datetime64("2019-04-01") else 1 if d < np.datetime64("2019-07-01") else 2
            for d in days
        }
        assert p.window_split[window] == (expected.pop() if len(expected) == 1 else DROPPED)
    assert dropped["window across two splits' periods"] == (p.window_split == DROPPED).sum() * 36 == 2 * 36


@pytest.mark.parametrize(("n_cubes", "folds"), [(10, 5), (1, 4)])
def test_folds_hold_places_apart(n_cubes, folds):
    plans = [plan(f"cube{n}", left=400_000.0 + 1000 * n) for n in range(n_cubes)]
    split(plans, "kfold", {"folds": folds})
    count = Counter(np.concatenate([p.fold for p in plans]).tolist())
    assert set(count) == set(range(folds))
    if n_cubes > 1:
        assert set(count.values()) == {n_cubes // folds * 36}
        assert all(len(set(p.fold)) == 1 for p in plans)


def test_folds_of_pixels_that_share_ground_are_not_mixed():
    plans = [plan("a", size=3, apart=2, side=9)]
    split(plans, "kfold", {"folds": 3, "unit": "pixel"})
    p = plans[0]
    kept = [unit for unit in range(len(p.units)) if (p.splits()[unit] != DROPPED).any()]
    for unit in kept:
        for other in kept:
            if p.fold[unit] != p.fold[other]:
                assert not footprint(p, unit).intersects(footprint(p, other))


def regions(tmp_path, rows, name="regions.jsonl"):
    path = tmp_path / name
    path.write_text(
        "".join(json.dumps({"wkb": shape.wkb_hex, "value": value}) + "\n" for shape, value in rows)
    )
    return str(path)


def test_a_column_says_the_split_and_who_has_none_is_dropped(tmp_path):
    p = plan("a")
    left = box(400_000, 5_199_900, 400_020, 5_200_000)
    right = box(400_030, 5_199_900, 400_060, 5_200_000)
    path = regions(tmp_path, [(left, "Training"), (right, "test")])
    dropped, _ = split([p], "column", split_places=path, places_crs=UTM32)
    np.testing.assert_array_equal(p.unit_split.reshape(6, 6), [[0, 0, DROPPED, 2, 2, 2]] * 6)
    assert dropped["without a split in the layer"] == 6 * len(p.starts)
    bad = regions(tmp_path, [(left, "south")], "bad.jsonl")
    with pytest.raises(InputError, match="'south', which is no split"):
        split([p], "column", split_places=bad, places_crs=UTM32)


def test_a_vector_file_serves_as_the_column_too(tmp_path):
    import shapely

    move = Transformer.from_crs(UTM32, "EPSG:4326", always_xy=True).transform
    plans = [plan("a"), plan("b", left=410_000.0)]
    points = shapely.points(*move(np.array([400_031.0, 410_031.0]), np.array([5_199_969.0] * 2)))
    path = tmp_path / "plots.gpkg"
    pyogrio.raw.write(
        path, shapely.to_wkb(points), [np.array(["train", "val"], object)], np.array(["use"], object),
        geometry_type="Point", crs="EPSG:4326",
    )  # fmt: skip
    split(plans, "column", {"layer": str(path), "field": "use"})
    assert [set(p.unit_split) for p in plans] == [{0}, {1}]
    with pytest.raises(InputError, match="no field nothing"):
        split(plans, "column", {"layer": str(path), "field": "nothing"})
