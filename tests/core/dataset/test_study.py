"""The numbers of the study forest_drought_forecasting, on a cube of the demo and on real images, from items to samples:
54 steps of context, 18 of target, weather 18 later, summers, forest above 0.8, 100 pixels per scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from minicuber.core.dataset.index import read_index
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

STUDY = {
    "context": 54, "target": 18, "shift": 18, "season": "06-01/09-01", "where": "FOREST_MASK > 0.8",
    "max_samples": 100, "seed": 1,
}  # fmt: skip


def build(folder: Path, forest: shapely.Geometry | None, **recipe) -> Path:
    """A cube with NDVI, whose pixels within `forest` (all where None) are forest."""
    path = folder / "cube.nc"
    recipe = {"s2_bands": ["B04", "B08", "SCL"], "s2_mask": "scl", **recipe}
    run_job("buildminicube", {"recipe": recipe, "output": str(path)}, Progress())
    with xr.open_dataset(path) as cube:
        edges = (cube.x.min() - 99, cube.y.min() - 99, cube.x.max() + 99, cube.y.max() + 99)
        whole = shapely.box(*map(float, edges))
    features = folder / "forest.jsonl"
    features.write_text(json.dumps({"wkb": (forest or whole).wkb.hex(), "value": None}) + "\n")
    layer = {
        "name": "FOREST_MASK", "title": "forest", "source": "test", "path": str(features), "kind": "vector",
        "method": "share",
    }  # fmt: skip
    run_job("attachlayers", {"cube": str(path), "layers": [layer], "output": str(path)}, Progress())
    run_job("spectralindices", {"cube": str(path), "indices": "NDVI", "output": str(path)}, Progress())
    return path


@pytest.fixture(scope="module")
def demo_cube(demo_data, tmp_path_factory) -> Path:
    corners = [float(each) for each in demo_data["extent"].split("[")[0].split(",")]
    west, north = corners[0], corners[3]
    forest = shapely.Point(west + 400, north - 400).buffer(150)
    return build(
        tmp_path_factory.mktemp("demo_cube"),
        forest,
        extent=[west, west + 640, north - 640, north],
        extent_crs="EPSG:32632",
        start="2020-03-01",
        end="2022-08-31",
        catalog=demo_data["catalog"],
        resolution=20,
        era5_source=demo_data["era5"],
        era5_variables=[["t", "mean"], ["tp", "sum"]],
    )


@pytest.fixture(scope="module")
def real_cube(shared, tmp_path_factory) -> Path:
    folder = shared / "data/s2_stac/treesatai_abies_2020"
    item = json.loads((folder / "items.json").read_text())["features"][0]
    with rasterio.open(folder / item["assets"]["red"]["href"]) as file:
        box = file.bounds
    return build(
        tmp_path_factory.mktemp("real_cube"),
        None,
        extent=[box.left, box.right, box.bottom, box.top],
        extent_crs="EPSG:32632",
        start="2020-01-01",
        end="2020-12-31",
        catalog=str(folder / "items.json"),
    )


def export(cube: Path, output: Path, **more) -> tuple[dict, dict[str, np.ndarray]]:
    order = {"cubes": [str(cube)], "output": str(output), **STUDY, **more}
    result = run_job("exportdataset", order, Progress())
    return result, read_index(output)


@pytest.mark.parametrize("name", ["demo_cube", pytest.param("real_cube", marks=pytest.mark.real)])
def test_pairs_are_the_cubes_values(request, name, tmp_path):
    path = request.getfixturevalue(name)
    result, index = export(
        path, tmp_path / "set", format="npz-sharded", split="random", split_options={"unit": "pixel"}
    )
    with xr.open_dataset(path) as opened:
        cube = opened.load()
    days = cube.time.values.astype("datetime64[D]")
    first = days[54 : len(days) - 18 - 18 + 1]
    months = first.astype("datetime64[M]").astype(int) % 12 + 1
    n_windows = int(np.isin(months, (6, 7, 8)).sum())
    n_forest = int((cube.FOREST_MASK > 0.8).sum())
    assert n_windows > 5 and n_forest >= 30
    assert result["n_samples"] == n_windows * min(n_forest, 100)
    chosen = np.random.default_rng(3).choice(len(index["file"]), 40, replace=False)
    images = ["s2_B04", "s2_B08", "s2_ndvi"]
    for number in chosen:
        with np.load(tmp_path / "set" / index["file"][number]) as shard:
            sample = {
                key: shard[key] if key.endswith("_variables") else shard[key][index["row"][number]]
                for key in shard
            }
        pixel = cube.isel(y=index["pixel_row"][number], x=index["pixel_column"][number])
        assert float(pixel.FOREST_MASK) > 0.8
        start = int(np.searchsorted(days, sample["context_time"][0]))
        assert list(sample["context_variables"]) == images
        for key, begin, end in (("context", start, start + 54), ("target", start + 54, start + 72)):
            np.testing.assert_array_equal(sample[f"{key}_time"], days[begin:end])
            np.testing.assert_array_equal(
                sample[key], np.stack([pixel[each].values[begin:end] for each in images])
            )
        np.testing.assert_array_equal(sample["weather_time"], days[start + 18 : start + 90])
        for place, each in enumerate(sample["weather_variables"]):
            np.testing.assert_array_equal(
                sample["weather"][place], cube[each].values[start + 18 : start + 90].astype("f4")
            )
    assert len(cube.data_vars) and (
        name == "real_cube" or set(sample["weather_variables"]) == {"era5_t", "era5_tp"}
    )


@pytest.mark.parametrize("name", ["demo_cube", pytest.param("real_cube", marks=pytest.mark.real)])
def test_format_of_the_study(request, name, tmp_path):
    """Its names, keys and shapes; the last window of the summer is missing, as in the original."""
    path = request.getfixturevalue(name)
    result, index = export(path, tmp_path / "seed", format="seed", variables="s2_B04,s2_B08,s2_ndvi")
    plain, _ = export(path, tmp_path / "plain", format="npz-sharded", variables="s2_B04,s2_B08,s2_ndvi")
    pixels = len(set(zip(index["pixel_row"], index["pixel_column"], strict=True)))
    assert 30 <= pixels <= 100
    assert result["n_samples"] == plain["n_samples"] - pixels
    with np.load(tmp_path / "seed" / index["file"][0]) as sample:
        assert set(sample.files) == {"context", "target"}
        assert sample["context"].shape[1:] == (54,) and sample["target"].shape[1:] == (18,)
    assert index["file"][0].endswith("_18.npz") and list((tmp_path / "seed").rglob("*_min.npy"))


def test_contexts_are_cleaned_in_time(demo_cube, tmp_path):
    """What the study wanted and did not do: cleaned contexts that know nothing of what comes."""
    _, index = export(demo_cube, tmp_path / "set", format="npz-sharded", smoothing="both", max_samples=20)
    document = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    assert not document["smoothing"]["leaks"] and document["leak_check"]["passed"]
    with np.load(tmp_path / "set" / index["file"][0]) as shard:
        assert np.isfinite(shard["context"]).mean() > 0.97
        assert 0.2 < shard["context_filled"].mean() < 0.9
