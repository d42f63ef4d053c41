"""Which images come into a cube, and which pixel is taken from which: MIN_CLEAR, the regular axis, methods."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.errors import Cancelled, InputError, SourceError
from minicuber.core.jobs import run_job
from minicuber.core.loading import GDAL_OPTIONS
from minicuber.core.progress import Progress
from pyproj import Transformer
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (400_020.0, 5_200_020.0)
EXTENT = [400_020.0, 400_420.0, 5_199_620.0, 5_200_020.0]  # 40 x 40 pixels


@pytest.fixture
def build(tmp_path):
    def call(items, *, output="cube.nc", dry_run=False, progress=None, **recipe):
        fields = {
            "extent": EXTENT, "extent_crs": CRS, "start": "2021-06-01", "end": "2021-06-30",
            "s2_bands": ["B02", "B08"], "catalog": str(collection_file(tmp_path, items)), **recipe,
        }  # fmt: skip
        order = {"recipe": fields, "output": str(tmp_path / output), "dry_run": dry_run}
        return run_job("buildminicube", order, progress or Progress())

    return call


@pytest.fixture
def image(tmp_path):
    """`image(day, **values)`: a scene with B02, B08 and SCL; values per band, else positions and SCL 4."""

    def make(day, hour=10, name=None, properties=None, **values):
        return scene(
            tmp_path,
            name or f"S2A_MSIL2A_202106{day:02d}T{hour:02d}3031_N0214_R108_T32TMT_20210601T000000",
            CRS,
            CORNER,
            f"2021-06-{day:02d}T{hour:02d}:30:31Z",
            size=60,
            bands=("B02", "B08", "SCL"),
            values=values,
            properties=properties,
        )

    return make


def left_half(value, other, size):
    array = np.full((size, size), other)
    array[:, : size // 3] = value
    return array


def write_floats(path, value) -> None:
    """Replace a file by one of floats in the same place, without a number for missing."""
    with rasterio.open(path) as file:
        profile = {**file.profile, "dtype": "float32", "nodata": None}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full(file.shape, value, np.float32), 1)


def days(cube) -> list[str]:
    return cube.time.dt.strftime("%d").values.tolist()


def test_cloudy_date_costs_one_band(build, image, tmp_path, monkeypatch):
    items = [image(1), image(6, SCL=9), image(11, SCL=left_half(8, 5, 30))]
    read = []
    original = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: read.append(str(path)) or original(path, *a, **k)
    )
    build(items, min_clear=50)
    assert len([path for path in read if "_20210606T" in path]) == 1
    assert (
        len([path for path in read if "_20210601T10" in path and path.endswith("SCL.tif")]) == 1
    )  # not read twice
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert days(cube) == ["01", "11"]
        # 10 of the 20 columns of 20 m below the extent are cloudy.
        np.testing.assert_allclose(cube.s2_clear_share, [1.0, 0.5])
        assert "s2_SCL" not in cube and "s2_mask" not in cube


def test_share_at_min_clear_stays_and_the_log_counts_the_others(build, image, caplog):
    items = [image(1, SCL=left_half(8, 5, 30)), image(6, SCL=3)]
    with caplog.at_level(logging.INFO):
        assert build(items, min_clear=50)["n_dates"] == 1
    assert "1 of 2 dates are left out" in caplog.text


def test_no_clear_date_names_the_clearest(build, image):
    with pytest.raises(InputError, match=r"MIN_CLEAR.*50\.0 %"):
        build([image(1, SCL=left_half(8, 5, 30)), image(6, SCL=9)], min_clear=80)


def test_clear_share_is_of_the_extent_not_of_the_scene(build, image, tmp_path):
    # Cloudy outside the extent of 40 x 40 pixels alone.
    scl = np.full((30, 30), 9)
    scl[:20, :20] = 5
    build([image(1, SCL=scl)], min_clear=99)
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube.s2_clear_share.item() == 1.0


def test_cloudy_scene_is_left_out_and_one_that_says_nothing_stays(build, image):
    items = [
        image(1, properties={"eo:cloud_cover": 80.0}),
        image(6, properties={"eo:cloud_cover": None}),
        image(11, properties={"eo:cloud_cover": 20.0}),
    ]
    assert build(items, max_cloud=20)["n_dates"] == 2


# --- the regular axis ---------------------------------------------------------------------------


def test_regular_step_takes_the_images_of_the_days_that_end_on_it(build, image, tmp_path):
    items = [image(day, B02=1000 + day, B08=2000) for day in (1, 5, 6, 10, 16)]
    result = build(items, time_axis="regular", step_days=5, end="2021-06-17")
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        # D_k = START + (k + 1) x STEP_DAYS - 1 day; the days from the 16th on make no whole step.
        assert cube.time.values.astype("datetime64[D]").astype(str).tolist() == [
            "2021-06-05", "2021-06-10", "2021-06-15"
        ]  # fmt: skip
        values = cube.s2_B02.values[:, 0, 0]
        np.testing.assert_allclose(values[:2], [0.1005, 0.1010], rtol=1e-5)
        assert np.isnan(values[2]) and np.isnan(cube.s2_B02[2]).all()
        assert cube.s2_avail.values.tolist() == [1, 1, 0]
        dates = cube.s2_image_date.values.astype("datetime64[D]").astype(str)
        assert set(dates[0].ravel()) == {"2021-06-05"} and set(dates[1].ravel()) == {"2021-06-10"}
        assert np.isnat(cube.s2_image_date.values[2]).all()
        assert cube.s2_item_id.values[2] == "" and np.isnat(cube.s2_time.values[2])
        assert len(cube.s2_item_id.values[0].split()) == 2
        assert cube.time.attrs["long_name"] == "last UTC day of the step"
    assert (result["n_dates"], result["n_items"]) == (3, 4)


def test_pixel_is_the_latest_clear_else_the_latest_valid(build, image, tmp_path):
    """Against a loop over the pixels, on random clouds, shadows and holes."""
    rng = np.random.default_rng(3)
    stack = {}
    items = []
    for day in (1, 3, 4, 8, 9, 12):
        scl = rng.choice([0, 3, 4, 5, 8, 9, 11], (30, 30), p=[0.15, 0.1, 0.2, 0.1, 0.2, 0.2, 0.05])
        b02 = rng.integers(1, 9000, (60, 60))
        b02[rng.random((60, 60)) < 0.2] = 0
        stack[day] = {"SCL": np.kron(scl, np.ones((2, 2), int))[:40, :40], "B02": b02[:40, :40]}
        items.append(image(day, B02=b02, SCL=scl))
    build(items, time_axis="regular", step_days=7, s2_bands=["B02", "SCL"], s2_mask="scl", end="2021-06-14")
    to_mask = {0: 4, 1: 4, 2: 0, 3: 2, 4: 0, 5: 0, 6: 0, 7: 0, 8: 1, 9: 1, 10: 1, 11: 3}
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False, decode_times=False) as cube:
        for step, members in enumerate([(1, 3, 4), (8, 9, 12)]):
            for y, x in np.ndindex(40, 40):
                clear = whole = some = None
                for day in members:
                    dn, scl = stack[day]["B02"][y, x], stack[day]["SCL"][y, x]
                    if dn and to_mask[scl] == 0:
                        clear = day
                    if dn:
                        whole = day
                    if dn or scl:
                        some = day
                day = clear or whole or some
                stored = cube.s2_image_date.values[step, y, x]
                if day is None:
                    assert stored == -1 and cube.s2_B02.values[step, y, x] == -32768
                    assert cube.s2_mask.values[step, y, x] == 4
                    continue
                assert stored == (dt.date(2021, 6, day) - dt.date(1970, 1, 1)).days
                dn, scl = stack[day]["B02"][y, x], stack[day]["SCL"][y, x]
                assert cube.s2_B02.values[step, y, x] == (dn or -32768)
                assert cube.s2_SCL.values[step, y, x] == scl
                assert cube.s2_mask.values[step, y, x] == (to_mask[scl] if dn else 4)


def test_regular_axis_without_a_classification_says_that_clouds_count(build, tmp_path, caplog):
    items = [scene(tmp_path, f"x{day}", CRS, CORNER, f"2021-06-{day:02d}T10:30:00Z") for day in (1, 3)]
    with caplog.at_level(logging.WARNING):
        build(items, s2_bands=["B02"], time_axis="regular")
    assert "no scene classification" in caplog.text
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert set(cube.s2_image_date.values[0].astype("datetime64[D]").astype(str).ravel()) == {"2021-06-03"}


def test_steps_beyond_a_chunk_are_not_displaced(build, tmp_path):
    """40 steps go through two blocks."""
    items = [
        scene(tmp_path, f"d{n:02d}", CRS, CORNER, str(dt.datetime(2021, 6, 1, 10) + dt.timedelta(days=n)) + "Z",
              size=40, values={"B02": 1000 + n})
        for n in range(40)
    ]  # fmt: skip
    build(items, s2_bands=["B02"], end="2021-07-31", time_axis="regular", step_days=1)
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        np.testing.assert_allclose(cube.s2_B02.values[:40, 0, 0], (1000 + np.arange(40)) * 1e-4, rtol=1e-5)
        assert cube.sizes["time"] == 61 and np.isnan(cube.s2_B02.values[40:]).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"end": "2021-06-03"}, "shorter than one step"),
        ({"step_days": 0}, "STEP_DAYS"),
        ({"start": "2021-06-20", "end": "2021-06-30", "step_days": 10}, "No image falls|No Sentinel-2 image"),
    ],
)
def test_regular_axis_that_cannot_be_is_refused(build, image, changes, words):
    with pytest.raises(InputError, match=words):
        build([image(1)], time_axis="regular", **changes)


# --- several items of one date ------------------------------------------------------------------


def test_later_nodata_tile_does_not_overwrite_valid_pixels(build, tmp_path):
    """`groupby(date).last(skipna=False)` lost them."""
    east = left_half(0, 3000, 60)
    west = left_half(2000, 0, 60)
    items = [
        scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60, values={"B02": west}),
        scene(tmp_path, "b", CRS, CORNER, "2021-06-01T10:30:20Z", size=60, values={"B02": east}),
    ]
    build(items, s2_bands=["B02"])
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        assert cube.sizes["time"] == 1
        np.testing.assert_array_equal(cube.s2_B02.values[0, :, :20], 2000)
        np.testing.assert_array_equal(cube.s2_B02.values[0, :, 20:], 3000)


def test_date_without_a_valid_pixel_stays_and_says_so(build, image, tmp_path):
    build([image(1), image(6, B02=0, B08=0)])
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube.s2_avail.values.tolist() == [1, 0]
        assert np.isnan(cube.s2_B02.values[1]).all()


def test_classes_are_never_averaged(build, image, tmp_path):
    """The peers take a median of classes: half water, half cloud made "unclassified"."""
    scl = np.indices((30, 30)).sum(axis=0) % 2 * 3 + 6  # 6 and 9 by turns
    build([image(1, SCL=scl)], s2_bands=["SCL"], resolution=60)
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert set(np.unique(cube.s2_SCL)) <= {6, 9}
        assert cube.s2_SCL.attrs["resampling"] == "mode"


# --- methods ------------------------------------------------------------------------------------


def test_choice_of_method_is_used_and_said(build, tmp_path):
    bands = ("B02", "B11")
    items = [scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60, bands=bands)]
    build(items, s2_bands=list(bands))
    build(items, s2_bands=list(bands), resampling={"s2_B11": "cubic"}, output="cubic.nc")
    with xr.open_dataset(tmp_path / "cube.nc") as plain, xr.open_dataset(tmp_path / "cubic.nc") as cubic:
        assert plain.s2_B11.attrs["resampling"] == "nearest"
        assert cubic.s2_B11.attrs["resampling"] == "cubic"
        assert cubic.s2_B02.attrs["resampling"] == "none, the lattices are equal"
        assert float(np.abs(plain.s2_B11 - cubic.s2_B11).max()) > 0
        np.testing.assert_array_equal(plain.s2_B02, cubic.s2_B02)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"B99": "nearest"}, "unknown band"),
        ({"B02": "magic"}, "unknown method"),
        ({"SCL": "bilinear"}, "cannot be averaged"),
        ({"B02": "sum"}, "unknown method"),
    ],
)
def test_wrong_method_is_one_sentence(build, image, choice, words):
    with pytest.raises(InputError, match=words):
        build([image(1)], resampling=choice)


# --- the offset ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "reported"),
    [({"s2:processing_baseline": "05.00"}, False), ({"s2:processing_baseline": "03.01"}, True)],
)
def test_offset_that_a_catalog_hides_is_reported_in_log_and_cube(build, tmp_path, caplog, told, reported):
    """Raised by 1000 from the fourth image on; the item tells it, or tells an older baseline."""
    rng = np.random.default_rng(1)
    ground = rng.integers(200, 3000, (60, 60))
    items = [
        scene(tmp_path, f"d{n}", CRS, CORNER, f"2021-06-{n + 1:02d}T10:30:00Z", size=60, bands=("B04",),
              values={"B04": ground + rng.integers(0, 40, (60, 60)) + (1000 if n > 3 else 0)},
              properties=told if n > 3 else {"s2:processing_baseline": "02.14"})
        for n in range(9)
    ]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        build(items, s2_bands=["B04"])
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert ("s2_offset_check" in cube.attrs) is reported
    assert ("offset looks wrong" in caplog.text) is reported


# --- what the peers did to their surroundings -----------------------------------------------------


def test_environment_of_the_process_stays_as_it_was(build, image):
    """The peers set AWS and GDAL variables for everybody."""
    before = dict(os.environ)
    build([image(1)])
    assert dict(os.environ) == before
    assert "GDAL_NUM_THREADS" not in {
        *GDAL_OPTIONS,
        *before,
    }  # with vsicurl some versions return wrong pixels


def test_cubes_of_one_process_do_not_grow_into_each_other(build, image, tmp_path):
    """A mutable default argument kept the bands of the cube before."""
    build([image(1)], s2_bands=["B08", "B02"], resampling={"B02": "cubic"})
    build([image(1)], s2_bands=["B02"], output="second.nc")
    with xr.open_dataset(tmp_path / "second.nc") as cube:
        assert "s2_B08" not in cube and json.loads(cube.attrs["recipe"])["resampling"] == {}


def test_every_cube_has_the_same_scale_whatever_its_values(build, image, tmp_path):
    """The peers chose another scale for every cube."""
    scales = set()
    for number, dn in enumerate((200, 9000)):
        build([image(1, B02=dn, name=f"x{number}")], output=f"{number}.nc")
        with xr.open_dataset(tmp_path / f"{number}.nc", mask_and_scale=False) as cube:
            assert cube.s2_B02.values[0, 0, 0] == dn
            scales.add((float(cube.s2_B02.attrs["scale_factor"]), int(cube.s2_B02.attrs["_FillValue"])))
    assert scales == {(float(np.float32(1e-4)), -32768)}


def test_dn_0_is_masked_before_the_offset_and_negatives_stay(build, tmp_path):
    """Afterwards it would be a reflectance of -0.1, or a dark pixel would be called missing."""
    dn = np.tile([0, 400, 1000, 1500], (60, 15))
    items = [
        scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60, values={"B02": dn},
              properties={"s2:processing_baseline": "05.00"})
    ]  # fmt: skip
    build(items, s2_bands=["B02"])
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        assert cube.s2_B02.values[0, 0, :4].tolist() == [-32768, -600, 0, 500]


def test_zero_reflectance_of_a_float_file_stays_zero(build, tmp_path):
    """GDAL from 3.11 on turns a valid 0 into 1.4e-45 where the destination's nodata is 0."""
    items = [scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60)]
    write_floats(tmp_path / items[0]["assets"]["blue"]["href"], 0.0)
    items[0]["assets"]["blue"]["raster:bands"] = [{"data_type": "float32"}]
    build(items, s2_bands=["B02"], resolution=20)
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        assert (cube.s2_B02.values == 0).all()


# --- what a fresh look found ----------------------------------------------------------------------


def test_overpass_at_midnight_is_one_date_whatever_the_period(build, tmp_path):
    """START and END cut it into two halves, of which the second had a date of its own."""
    west = left_half(2000, 0, 60)
    items = [
        scene(tmp_path, "a", CRS, CORNER, "2021-06-09T23:59:58Z", size=60, values={"B02": west}),
        scene(
            tmp_path,
            "b",
            CRS,
            CORNER,
            "2021-06-10T00:00:12Z",
            size=60,
            values={"B02": left_half(0, 3000, 60)},
        ),
    ]
    whole = {"s2_bands": ["B02"]}
    assert build(items, **whole, end="2021-06-09")["n_items"] == 2
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert days(cube) == ["09"] and np.isfinite(cube.s2_B02).all()
    with pytest.raises(InputError, match="No Sentinel-2 image"):
        build(items, **whole, start="2021-06-10")


def test_pass_that_covers_more_by_its_footprint_comes_first(build, tmp_path):
    """Rectangles of tiles said otherwise: a swath's edge with a few pixels won."""
    lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

    def footprint(left, right):
        xs = [CORNER[0] + left, CORNER[0] + right, CORNER[0] + right, CORNER[0] + left, CORNER[0] + left]
        ys = [CORNER[1], CORNER[1], CORNER[1] - 600, CORNER[1] - 600, CORNER[1]]
        ring = [list(point) for point in zip(*lonlat.transform(xs, ys), strict=True)]
        return {"type": "Polygon", "coordinates": [ring]}

    edge = scene(tmp_path, "a_edge", CRS, CORNER, "2021-06-10T10:00:00Z", size=60, values={"B02": 3000},
                 properties={"sat:relative_orbit": 22})  # fmt: skip
    full = scene(tmp_path, "b_full", CRS, CORNER, "2021-06-10T10:30:00Z", size=60, values={"B02": 2000},
                 properties={"sat:relative_orbit": 65})  # fmt: skip
    edge["geometry"], full["geometry"] = footprint(0, 30), footprint(0, 600)
    build([edge, full], s2_bands=["B02"])
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        assert cube.s2_relative_orbit.item() == 65 and (cube.s2_B02 == 2000).all()


def test_pixels_of_one_size_are_not_averaged_because_the_grid_is_turned(build, tmp_path):
    """The box around a turned grid made 10 m look finer than 10 m, and its classes the mode of several."""
    lon, lat = 12.0, 60.0
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(lon, lat)
    corner = (round((x - 1500) / 60) * 60, round((y + 1500) / 60) * 60)
    items = [
        scene(tmp_path, "a", "EPSG:32633", corner, "2021-06-10T10:30:00Z", size=300, bands=("B02", "SCL"))
    ]
    build(items, extent=[lon, lon, lat, lat], extent_crs="EPSG:4326", crs="EPSG:32632", width=120, height=20,
          s2_bands=["B02", "SCL"], resolution=10)  # fmt: skip
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube.s2_B02.attrs["resampling"] == "bilinear" and cube.s2_SCL.attrs["resampling"] == "nearest"


def test_floats_of_which_nobody_says_anything_are_reflectance(build, tmp_path):
    items = [scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60)]
    write_floats(tmp_path / items[0]["assets"]["blue"]["href"], 0.25)
    build(items, s2_bands=["B02"])
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        np.testing.assert_allclose(cube.s2_B02, 0.25, rtol=1e-5)


def test_size_of_the_items_pixels_is_not_taken_for_another_files(build, tmp_path):
    """The item's transform is of 10 m, the asset's shape of 20 m: the lower right quarter seemed to be outside."""
    items = [scene(tmp_path, "a", CRS, CORNER, "2021-06-01T10:30:00Z", size=60, bands=("B11",))]
    transform = items[0]["assets"]["swir16"].pop("proj:transform")
    items[0]["properties"] |= {
        "proj:transform": [10, 0, *transform[2:4], -10, transform[5]],
        "proj:shape": [60, 60],
    }
    x, y = CORNER
    build(items, s2_bands=["B11"], extent=[x + 400, x + 600, y - 600, y - 400])
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert np.isfinite(cube.s2_B11).all()


def test_files_that_changed_are_not_taken_from_an_interrupted_run(build, tmp_path):
    class Late(Progress):
        def show(self, fraction, text):
            if fraction > 0.97:
                self.cancel()

    def items(dn):
        return [
            scene(
                tmp_path,
                f"d{n:02d}",
                CRS,
                CORNER,
                f"2021-06-{n:02d}T10:30:00Z",
                size=60,
                values={"B02": dn + n},
            )
            for n in range(1, 21)
        ]

    order = {"s2_bands": ["B02"]}
    with pytest.raises(Cancelled):
        build(items(1000), progress=Late(), **order)
    build(items(5000), **order)
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        np.testing.assert_array_equal(cube.s2_B02.values[:, 0, 0], 5000 + np.arange(1, 21))


def test_recipe_of_a_cube_is_read_from_anywhere(build, image, tmp_path, monkeypatch):
    items = [image(1)]
    monkeypatch.chdir(tmp_path)
    catalog = collection_file(tmp_path, items)
    build(items, catalog=catalog.name)
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert json.loads(cube.attrs["recipe"])["catalog"] == str(catalog)


def test_folder_of_the_users_beside_the_cube_is_left_alone(build, image, tmp_path):
    folder = tmp_path / "cube.layers"
    folder.mkdir()
    (folder / "my_work.gpkg").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        build([image(1)])
    assert (folder / "my_work.gpkg").read_text() == "mine"


def test_folder_that_is_called_like_a_preset_does_not_take_its_place(build, image, tmp_path, monkeypatch):
    """Run from a folder with a folder `cdse` in it, the preset was a path that is no catalog."""
    (tmp_path / "cdse").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = []

    def search(source, *rest):
        asked.append(source)
        raise SourceError("The network is not asked in this test.")

    monkeypatch.setattr("minicuber.core.plan.search", search)
    with pytest.raises(SourceError):
        build([image(1)], catalog="cdse")
    assert asked == ["cdse"]
