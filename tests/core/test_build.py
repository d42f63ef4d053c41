"""The whole way from a recipe to a cube, on real images: every pixel against the source files."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.errors import Cancelled, InputError, SourceError, StorageError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from pyproj import CRS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def build(output, progress=None, dry_run=False, **recipe):
    order = {"recipe": recipe, "output": str(output), "dry_run": dry_run}
    return run_job("buildminicube", order, progress or Progress())


def features(folder: Path) -> list[dict]:
    return json.loads((folder / "items.json").read_text())["features"]


def source(folder: Path, feature: dict, asset: str) -> tuple[np.ndarray, rasterio.Affine]:
    with rasterio.open(folder / feature["assets"][asset]["href"]) as file:
        return file.read(1), file.transform


def box(transform: rasterio.Affine, shape: tuple[int, int]) -> list[float]:
    """xmin, xmax, ymin, ymax of a whole file."""
    rows, columns = shape
    return [transform.c, transform.c + columns * transform.a, transform.f + rows * transform.e, transform.f]


KEYS = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "resolution", "bands"),
    [
        (
            "treesatai_abies_2020",
            10,
            ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12", "SCL"],
        ),
        ("gfmap_be_2023_04", 10, ["B01", "B04", "B08", "B11", "SCL"]),
        ("eolearn_si_l1c_2015", 0, ["B01", "B02", "B04", "B08", "B8A", "B12", "SCL"]),
    ],
)
def test_every_pixel_of_every_date_is_the_sources(shared, tmp_path, name, resolution, bands):
    folder = shared / "data/s2_stac" / name
    items = sorted(features(folder), key=lambda f: f["properties"]["datetime"])
    first, transform = source(folder, items[0], KEYS[bands[0]])
    with rasterio.open(folder / items[0]["assets"][KEYS[bands[0]]]["href"]) as file:
        crs = file.crs.to_string()
    days = [f["properties"]["datetime"][:10] for f in items]
    build(
        tmp_path / "cube.nc",
        extent=box(transform, first.shape),
        extent_crs=crs,
        start=days[0],
        end=days[-1],
        catalog=str(folder / "items.json"),
        resolution=resolution,
        s2_bands=bands,
    )
    with (
        xr.open_dataset(tmp_path / "cube.nc") as cube,
        xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as raw,
    ):
        assert cube.time.dt.strftime("%Y-%m-%d").values.tolist() == days
        assert (cube.sizes["y"], cube.sizes["x"]) == first.shape
        np.testing.assert_allclose(cube.x[0], transform.c + transform.a / 2, rtol=0, atol=1e-6)
        np.testing.assert_allclose(
            cube.y[-1], transform.f + transform.e * (first.shape[0] - 0.5), rtol=0, atol=1e-6
        )
        for band in bands:
            stack = np.stack([source(folder, f, KEYS[band])[0] for f in items])
            if band == "SCL":
                np.testing.assert_array_equal(cube.s2_SCL.values, stack)
                continue
            # These catalogs hold no offset: the README of the data says so, the pixels show it.
            np.testing.assert_array_equal(
                raw[f"s2_{band}"].values, np.where(stack == 0, -32768, stack.astype(int))
            )
            expected = np.where(stack == 0, np.nan, stack * 1e-4)
            np.testing.assert_allclose(cube[f"s2_{band}"].values, expected, rtol=1e-6)
            assert cube[f"s2_{band}"].dtype == np.float32


@pytest.mark.real
def test_two_tiles_with_lattices_60_m_apart_and_an_offset_already_applied(shared, tmp_path):
    folder = shared / "data/s2_stac/e84_33tw_2023_120m"
    items = features(folder)
    by_id = {f["id"]: f for f in items}
    anchor, transform = source(folder, by_id["S2B_33TWM_20230813_0_L2A"], "blue")
    rows, columns = anchor.shape
    xmin, xmax, ymin, ymax = box(transform, anchor.shape)
    build(
        tmp_path / "cube.nc",
        extent=[xmin, xmax, ymin - 50 * 120, ymax],
        extent_crs="EPSG:32633",
        start="2023-08-13",
        end="2023-08-13",
        catalog=str(folder),
        resolution=120,
        s2_bands=["B02", "B04", "SCL"],
    )
    with xr.open_dataset(tmp_path / "cube.nc", mask_and_scale=False) as cube:
        assert cube.s2_item_id.item().split() == ["S2B_33TWM_20230813_0_L2A", "S2B_33TWL_20230813_0_L2A"]
        own = cube.s2_B02.values[0].astype(int)
    assert own.shape == (rows + 50, columns)
    # boa_offset_applied: the declared -0.1 is not applied a second time; where the first tile is valid it stands.
    np.testing.assert_array_equal(own[:rows][anchor != 0], anchor[anchor != 0])
    assert (anchor != 0).sum() > 20_000
    # Further south comes from the second tile, whose lattice lies half a pixel off: the mean of two neighbours.
    south, place = source(folder, by_id["S2B_33TWL_20230813_0_L2A"], "blue")
    first_row = (transform.f + rows * transform.e - place.f) / place.e
    assert first_row % 1 == 0.5
    first_column = round((transform.c - place.c) / place.a)
    above = int(first_row)  # the centre of the first new row lies on the edge of two rows of the second tile
    upper = south[above : above + 49, first_column : first_column + columns].astype(float)
    lower = south[above + 1 : above + 50, first_column : first_column + columns].astype(float)
    whole = (upper > 0) & (lower > 0)
    assert whole.sum() > 5_000
    expected = np.rint((upper + lower) / 2)
    assert np.abs(own[rows : rows + 49][whole] - expected[whole]).max() <= 1


def test_pixels_of_the_demo_come_from_both_tiles_with_each_files_own_offset(demo_data, tmp_path):
    xmin, xmax, ymin, ymax = (float(v) for v in demo_data["extent"].split(" ")[0].split(","))
    build(
        tmp_path / "cube.nc",
        extent=[xmin, xmax, ymin, ymax],
        extent_crs="EPSG:32632",
        start="2022-01-10",
        end="2022-02-10",
        catalog=demo_data["catalog"],
        s2_bands=["B04"],
        s2_mask="scl",
    )
    root = Path(demo_data["catalog"]).parent
    items = {f["id"]: f for f in features(root)}
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        baselines = set(cube.s2_processing_baseline.values.tolist())
        assert "04.00" in baselines and len(baselines) > 1
        for number in range(cube.sizes["time"]):
            expected = np.full((128, 128), np.nan)
            for name in cube.s2_item_id.values[number].split():
                dn, transform = source(root, items[name], "red")
                offset = -0.1 if items[name]["properties"]["s2:processing_baseline"] >= "04.00" else 0.0
                column, row = round((xmin - transform.c) / 10), round((transform.f - ymax) / 10)
                for i in range(128):
                    for_y = row + i
                    if not 0 <= for_y < dn.shape[0]:
                        continue
                    a, b = max(0, -column), min(128, dn.shape[1] - column)
                    values = dn[for_y, column + a : column + b] * 1e-4 + offset
                    values[dn[for_y, column + a : column + b] == 0] = np.nan
                    line = expected[i, a:b]
                    expected[i, a:b] = np.where(np.isnan(line), values, line)
            np.testing.assert_allclose(cube.s2_B04.values[number], expected, rtol=0, atol=1e-6)
        assert np.isfinite(cube.s2_B04.values).mean() > 0.9


def test_duplicate_of_the_demo_is_taken_once_from_the_newer_baseline(demo_data, tmp_path):
    build(tmp_path / "cube.nc", **demo_recipe(demo_data, start="2020-08-05", end="2020-08-05"))
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert "S2B_32TMT_20200805_1_L2A" in cube.s2_item_id.item()
        assert "S2B_32TMT_20200805_0_L2A" not in cube.s2_item_id.item()


@pytest.mark.real
def test_cube_from_a_real_api_and_ranged_http_equals_the_cube_from_files(shared, tmp_path, serve, stac_api):
    folder = shared / "data/s2_stac/gfmap_be_2023_04"
    server = serve(folder)
    items = features(folder)
    for each in items:
        for asset in each["assets"].values():
            asset["href"] = f"{server.url}/{asset['href']}"
    url = stac_api(items, tmp_path)
    recipe = {
        "extent": [643300, 643700, 5676000, 5676300],
        "extent_crs": "EPSG:32631",
        "start": "2023-04-01",
        "end": "2023-04-30",
        "s2_bands": ["B04", "B08", "SCL"],
        "s2_mask": "scl",
    }
    here = build(tmp_path / "here.nc", catalog=str(folder / "items.json"), **recipe)
    there = build(tmp_path / "there.nc", catalog=url, **recipe)
    assert here["n_items"] == there["n_items"] == 12
    assert here["estimated_download_mb"] == 0 < there["estimated_download_mb"]
    with xr.open_dataset(tmp_path / "here.nc") as a, xr.open_dataset(tmp_path / "there.nc") as b:
        for name in ("s2_B04", "s2_B08", "s2_SCL", "s2_mask", "time", "x", "y"):
            xr.testing.assert_identical(a[name].drop_attrs(), b[name].drop_attrs())


@pytest.mark.real
def test_a_404_asset_fails_with_its_name_and_nothing_is_left(shared, tmp_path, serve):
    folder = shared / "data/s2_stac/gfmap_be_2023_04"
    server = serve(folder)
    lost = features(folder)[3]["assets"]["red"]["href"]
    server.answers[lost] = 404
    target = tmp_path / "out"
    with pytest.raises(SourceError, match=r"B04\.tif cannot be read"):
        build(
            target / "cube.nc",
            extent=[643300, 643700, 5676000, 5676300],
            extent_crs="EPSG:32631",
            start="2023-04-01",
            end="2023-04-30",
            catalog=f"{server.url}/items.json",
            s2_bands=["B04"],
            fail_on_missing=True,
        )
    assert list(target.iterdir()) == []


class CancelAt(Progress):
    def __init__(self, fraction):
        super().__init__()
        self.at = fraction

    def show(self, fraction, text):
        if fraction >= self.at:
            self.cancel()


def demo_recipe(demo_data, **more):
    xmin, xmax, ymin, ymax = (float(v) for v in demo_data["extent"].split(" ")[0].split(","))
    return {
        "extent": [xmin, xmax, ymin, ymax],
        "extent_crs": "EPSG:32632",
        "start": "2021-03-01",
        "end": "2021-06-30",
        "catalog": demo_data["catalog"],
        "s2_bands": ["B04"],
        **more,
    }


def test_cancel_at_the_last_moment_changes_neither_cube_nor_layers(demo_data, tmp_path):
    output = tmp_path / "cube.nc"
    build(output, **demo_recipe(demo_data))
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(Cancelled):
        build(output, CancelAt(1.0), **demo_recipe(demo_data, s2_bands=["B08"], start="2021-06-01"))
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_cube_that_cannot_be_replaced_keeps_its_own_layers(demo_data, tmp_path, monkeypatch):
    # Windows refuses to replace a file that is open in QGIS; here the rename itself is made to fail.
    output = tmp_path / "cube.nc"
    build(output, **demo_recipe(demo_data))
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    def refuse(part, target):
        raise PermissionError(13, "used by another process", str(target))

    monkeypatch.setattr("minicuber.core.cube.part.os.replace", refuse)
    with pytest.raises(StorageError, match="close what holds it open"):
        build(output, **demo_recipe(demo_data, s2_bands=["B08"]))
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.95])
def test_cancel_leaves_nothing_and_keeps_an_earlier_cube(demo_data, tmp_path, fraction):
    output = tmp_path / "cube.nc"
    output.write_bytes(b"an earlier cube")
    with pytest.raises(Cancelled):
        build(output, CancelAt(fraction), **demo_recipe(demo_data))
    assert [path.name for path in tmp_path.iterdir()] == ["cube.nc"]
    assert output.read_bytes() == b"an earlier cube"


def test_a_whole_cube_replaces_an_earlier_one_and_its_layers(demo_data, tmp_path):
    output = tmp_path / "cube.nc"
    build(output, **demo_recipe(demo_data, s2_bands=["B08"]))
    build(output, **demo_recipe(demo_data))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube.layers", "cube.nc"]
    assert [path.name for path in (tmp_path / "cube.layers").iterdir()] == ["s2_B04.vrt"]


def test_same_recipe_gives_equal_values_encodings_and_attributes(demo_data, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a", "b"):
        build(tmp_path / f"{name}.nc", **demo_recipe(demo_data, s2_mask="scl"))
    with xr.open_dataset(tmp_path / "a.nc") as a, xr.open_dataset(tmp_path / "b.nc") as b:
        xr.testing.assert_identical(a, b)
        for name in a.variables:
            encodings = [
                {k: str(v) for k, v in cube[name].encoding.items() if k != "source"} for cube in (a, b)
            ]
            assert encodings[0] == encodings[1]
        assert "2023-11-14T22:13:20Z" in a.attrs["history"]


def test_recipe_in_the_cube_builds_it_again(demo_data, tmp_path):
    build(tmp_path / "a.nc", **demo_recipe(demo_data))
    with xr.open_dataset(tmp_path / "a.nc") as a:
        recipe = json.loads(a.attrs["recipe"])
        build(tmp_path / "b.nc", **recipe)
        with xr.open_dataset(tmp_path / "b.nc") as b:
            xr.testing.assert_equal(a, b)


def test_cube_is_what_the_contract_says(demo_data, tmp_path):
    build(tmp_path / "a.nc", **demo_recipe(demo_data, s2_bands=["B04", "AOT", "SCL"], s2_mask="scl"))
    with xr.open_dataset(tmp_path / "a.nc", mask_and_scale=False) as cube:
        assert cube.s2_B04.dims == ("time", "y", "x")
        assert (cube.s2_B04.dtype, cube.s2_B04.attrs["_FillValue"]) == (np.int16, -32768)
        assert cube.s2_B04.attrs["scale_factor"].dtype == np.float32
        assert cube.s2_B04.attrs["scale_factor"] == np.float32(1e-4)
        assert cube.s2_AOT.dtype == np.uint16
        assert cube.s2_SCL.dtype == cube.s2_mask.dtype == np.uint8
        assert cube.s2_mask.attrs["flag_meanings"].split()[:2] == ["clear", "cloud"]
        assert (np.diff(cube.y) < 0).all() and (np.diff(cube.x) > 0).all()
        for name in ("s2_B04", "s2_AOT", "s2_SCL", "s2_mask"):
            assert {"long_name", "units", "source", "resampling", "grid_mapping"} <= set(cube[name].attrs)
        for name in ("title", "history", "minicuber_version", "recipe", "Conventions", "license"):
            assert cube.attrs[name]
        for name in (
            "s2_time",
            "s2_item_id",
            "s2_platform",
            "s2_relative_orbit",
            "s2_processing_baseline",
            "s2_cloud_cover",
            "s2_clear_share",
            "s2_avail",
            "s2_sun_azimuth",
            "s2_sun_elevation",
        ):
            assert cube[name].dims == ("time",)
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        clear = (cube.s2_mask == 0).mean(("y", "x"))
        np.testing.assert_allclose(cube.s2_clear_share, clear, atol=1e-6)
        missing = cube.s2_B04.isnull()
        assert (cube.s2_mask.where(missing) == 4).sum() == missing.sum()
        assert abs(cube.s2_time.values - cube.time.values).max() < np.timedelta64(1, "D")


def test_mask_leaves_reflectance_untouched(demo_data, tmp_path):
    build(tmp_path / "a.nc", **demo_recipe(demo_data))
    build(tmp_path / "b.nc", **demo_recipe(demo_data, s2_mask="scl"))
    with xr.open_dataset(tmp_path / "a.nc") as a, xr.open_dataset(tmp_path / "b.nc") as b:
        xr.testing.assert_equal(a.s2_B04, b.s2_B04)
        assert "s2_mask" not in a and "s2_SCL" not in b


def test_estimate_reads_nothing_and_is_right_within_two(demo_data, tmp_path):
    recipe = demo_recipe(
        demo_data, start="2020-03-01", end="2022-08-31", s2_bands=["B02", "B04", "B08", "SCL"]
    )
    told = build("", dry_run=True, **recipe)
    assert told["output"] == ""
    result = build(tmp_path / "a.nc", **recipe)
    assert (told["n_items"], told["n_dates"]) == (result["n_items"], result["n_dates"])
    size = (tmp_path / "a.nc").stat().st_size / 1e6
    assert size / 2 <= told["estimated_mb"] <= size * 2


def test_layers_of_the_cube_are_rasters_with_dates_and_relative_paths(demo_data, tmp_path):
    result = build(tmp_path / "a.nc", **demo_recipe(demo_data, s2_bands=["B02", "B03", "B04"], s2_mask="scl"))
    assert [layer["variable"] for layer in result["layers"]] == [
        "s2_rgb",
        "s2_B02",
        "s2_B03",
        "s2_B04",
        "s2_mask",
    ]
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("a.nc", "a.layers"):
        (tmp_path / name).rename(moved / name)
    text = (moved / "a.layers/s2_B04.vrt").read_text()
    assert str(tmp_path) not in text
    described = run_job("describecube", {"cube": str(moved / "a.nc")}, Progress())
    with xr.open_dataset(moved / "a.nc") as cube:
        days = cube.time.dt.strftime("%Y-%m-%d").values.tolist()
        (best,) = {layer["best"] for layer in described["layers"]}
        assert cube.s2_clear_share[best - 1] >= cube.s2_clear_share.max() - 0.005
    assert described["layers"][1]["dates"] == tuple(days)
    assert {layer["best"] for layer in result["layers"]} == {best}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "2021-07-01"}, "before START"),
        ({"start": "soon"}, "START is not a date"),
        ({"extent_crs": ""}, "EXTENT has no CRS"),
        ({"extent_crs": "EPSG:1"}, "CRS of EXTENT"),
        ({"crs": "EPSG:4326"}, "projected"),
        ({"catalog": ""}, "CATALOG is empty"),
        ({"catalog": "/nowhere/catalog.json"}, "does not exist"),
        ({"catalog": "https://user:secret@example.org/stac"}, "password or a token"),
        ({"s2_bands": ["B02", "B99"]}, "B99"),
        ({"s2_bands": []}, "No band"),
        ({"resolution": -1.0}, "negative"),
        ({"resolution": 0.01}, "smaller extent"),
        ({"resolution": 1e-300}, "no size of a pixel"),
        ({"resolution": float("nan")}, "no size of a pixel"),
        ({"extent": ["a", "b", "c", "d"]}, "something else than numbers"),
        ({"s2_bands": [1, 2]}, "Unknown Sentinel-2 band: 1, 2"),
        ({"resampling": {"B02": "cubic", "s2_B02": "average"}}, "names B02 twice"),
        ({"width": 10}, "belong together"),
        ({"width": 0, "height": 0, "extent": [404880, 404880, 5200040, 5201320]}, "EXTENT is empty"),
        ({"extent": [404880, 406160, float("nan"), 5201320]}, "not finite"),
        ({"width": 20_000, "height": 20_000}, "20002 x 20002 pixels"),
        ({"extent": [-10, 30, 35, 60], "extent_crs": "EPSG:4326"}, "smaller extent"),
        ({"catalog": "atlantis"}, "no catalog named 'atlantis'"),
        ({"min_clear": -1.0}, "MIN_CLEAR"),
        ({"time_axis": "weekly"}, "TIME_AXIS"),
        ({"fallback_catalog": "https://user:secret@example.org/stac"}, "FALLBACK_CATALOG holds a password"),
        ({"max_cloud": 101.0}, "percentage"),
        ({"s2_mask": "deep"}, "S2_MASK"),
        ({"start": "2010-01-01", "end": "2010-12-31"}, "No Sentinel-2 image"),
        ({"extent": [0, 1000, 0, 1000]}, "No Sentinel-2 image"),
        ({"max_cloud": 0.0, "start": "2021-03-08", "end": "2021-03-08"}, "more cloud than MAX_CLOUD"),
    ],
)
def test_wrong_input_is_one_sentence_before_anything_is_written(demo_data, tmp_path, changes, words):
    with pytest.raises((InputError, SourceError), match=words) as caught:
        build(tmp_path / "out" / "cube.nc", **demo_recipe(demo_data, **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_output_of_another_kind_is_refused(demo_data, tmp_path):
    for output, words in (("", "OUTPUT is missing"), (tmp_path / "a.tif", "end in .nc")):
        with pytest.raises(InputError, match=words):
            build(output, **demo_recipe(demo_data))


def test_output_that_cannot_be_written_is_a_storage_error(demo_data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        build(tmp_path / "file" / "cube.nc", **demo_recipe(demo_data))


def test_band_that_no_image_has_names_those_there_are(shared, tmp_path):
    with pytest.raises(SourceError, match=r"band B09.*B04"):
        build(
            tmp_path / "a.nc",
            extent=[643300, 643700, 5676000, 5676300],
            extent_crs="EPSG:32631",
            start="2023-04-01",
            end="2023-04-30",
            catalog=str(shared / "data/s2_stac/gfmap_be_2023_04"),
            s2_bands=["B04", "B09"],
        )


def local_items(demo_data, month: str) -> list[dict]:
    """Items of the demo with absolute hrefs, to change and write elsewhere."""
    root = Path(demo_data["catalog"]).parent
    items = [f for f in features(root) if f["properties"]["datetime"].startswith(month)]
    for each in items:
        for asset in each["assets"].values():
            asset["href"] = str(root / asset["href"])
    return items


def collection(tmp_path: Path, items: list[dict]) -> str:
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return str(path)


def test_cloudier_new_baseline_is_not_replaced_by_its_superseded_twin(demo_data, tmp_path):
    items = [f for f in local_items(demo_data, "2020-08-05") if "32TMT" in f["id"]]
    assert len(items) == 2
    for each in items:
        each["properties"]["eo:cloud_cover"] = (
            10 if each["properties"]["s2:processing_baseline"] < "04" else 30
        )
    recipe = demo_recipe(demo_data, start="2020-08-05", end="2020-08-05", catalog=collection(tmp_path, items))
    with pytest.raises(InputError, match="more cloud than MAX_CLOUD"):
        build("", dry_run=True, **recipe, max_cloud=20.0)
    assert build("", dry_run=True, **recipe, max_cloud=40.0)["n_items"] == 1


@pytest.mark.parametrize("resolution", [100.0, 30.0, 7.0])
def test_neighbouring_cubes_of_any_resolution_join(demo_data, tmp_path, resolution):
    # The items of the demo are crops whose corners lie on the lattice of Sentinel-2's tiles: 0,0 is an edge.
    result = build("", dry_run=True, **demo_recipe(demo_data, resolution=resolution))
    assert result["grid"]["left"] % resolution == 0
    assert result["grid"]["top"] % resolution == 0


def test_lattice_is_of_an_item_in_the_cubes_crs_however_it_is_written(demo_data, tmp_path):

    items = local_items(demo_data, "2021-06")
    wkt = CRS.from_epsg(32632).to_wkt().replace(',ID["EPSG",32632]', "")
    for each in items:
        for name in ("proj:epsg", "proj:code"):
            each["properties"].pop(name, None)
        for asset in each["assets"].values():
            for name in ("proj:epsg", "proj:code"):
                asset.pop(name, None)
        each["properties"]["proj:wkt2"] = wkt
    foreign = json.loads(json.dumps(items[0]))
    foreign["id"] = "A_first_by_name"
    del foreign["properties"]["proj:wkt2"]
    foreign["properties"]["proj:epsg"] = 32631
    for asset in foreign["assets"].values():
        if "proj:transform" in asset:
            asset["proj:transform"][2] = 860_003.0
    recipe = demo_recipe(demo_data, catalog=collection(tmp_path, [*items, foreign]), start="2021-06-01")
    grid = build("", dry_run=True, **recipe)["grid"]
    assert (grid["left"] % 10, grid["top"] % 10, grid["width"], grid["height"]) == (0, 0, 128, 128)


@pytest.mark.parametrize(
    ("crs", "unit"), [("EPSG:8857", "m"), ("EPSG:2056", "m"), ("EPSG:2263", "US survey foot")]
)
def test_cube_in_another_projection_says_its_units_and_its_crs(demo_data, tmp_path, crs, unit):
    # 8857 cannot be written as WKT1; 2263 is in feet.
    size = 100.0 if unit == "m" else 300.0
    recipe = demo_recipe(demo_data, crs=crs, resolution=size, start="2021-06-01", end="2021-06-15")
    build(tmp_path / "a.nc", **recipe)
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert cube.x.attrs["units"] == cube.y.attrs["units"] == unit
        assert CRS.from_wkt(cube.spatial_ref.attrs["crs_wkt"]).equals(CRS.from_user_input(crs))
        if crs != "EPSG:2263":  # its zone ends far from Switzerland
            assert float(cube.s2_B04.notnull().mean()) > 0.3
    with rasterio.open(tmp_path / "a.layers/s2_B04.vrt") as layer:
        assert layer.transform.a == size


def test_top_of_atmosphere_is_not_called_surface_reflectance(shared, tmp_path):
    folder = shared / "data/s2_stac/eolearn_si_l1c_2015"
    first, transform = source(folder, features(folder)[0], "red")
    build(
        tmp_path / "a.nc",
        extent=box(transform, first.shape),
        extent_crs="EPSG:32633",
        start="2015-01-01",
        end="2015-12-31",
        catalog=str(folder),
        resolution=0,
        s2_bands=["B04"],
    )
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert cube.s2_B04.attrs["standard_name"] == "toa_bidirectional_reflectance"


def test_band_that_some_items_lack_is_counted_in_the_log_and_missing_there(demo_data, tmp_path, caplog):
    items = local_items(demo_data, "2021-06")
    lost = [
        each
        for each in items
        if each["properties"]["datetime"].startswith(items[0]["properties"]["datetime"][:10])
    ]
    for each in lost:
        del each["assets"]["nir"]
    recipe = demo_recipe(demo_data, catalog=collection(tmp_path, items), s2_bands=["B04", "B08"])
    build(tmp_path / "a.nc", **recipe)
    assert f"{len(lost)} of {len(items)} items have no B08" in caplog.text
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert cube.s2_B08[0].isnull().all()
        assert cube.s2_B04[0].notnull().any()
        assert cube.s2_B08[1].notnull().any()


def test_items_without_any_of_the_bands_make_no_empty_date(demo_data, tmp_path):
    items = local_items(demo_data, "2021-06")
    other = json.loads(json.dumps(items[0]))
    other["id"] = "a_map_of_indices"
    other["properties"]["datetime"] = "2021-06-15T10:30:00Z"
    other["assets"] = {"ndvi": other["assets"]["red"] | {"eo:bands": [{"name": "ndvi"}]}}
    # Neither platform nor constellation: the bands decide.
    for name in ("platform", "constellation"):
        del items[-1]["properties"][name], other["properties"][name]
    result = build("", dry_run=True, **demo_recipe(demo_data, catalog=collection(tmp_path, [*items, other])))
    assert result["n_items"] == len(items)


def test_threads_end_with_the_job(demo_data, tmp_path):
    before = threading.active_count()
    with pytest.raises(Cancelled):
        build(tmp_path / "a.nc", CancelAt(0.4), **demo_recipe(demo_data))
    assert threading.active_count() == before


def test_one_day_is_a_period(demo_data):
    result = build("", dry_run=True, **demo_recipe(demo_data, start="2021-03-03", end="2021-03-03"))
    assert result["n_dates"] == 1
    assert list(result["months"]) == ["2021-03"]
