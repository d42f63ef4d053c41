"""Samples beside what plain xarray cuts from the same cube, and what is refused before any work."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyogrio
import pytest
import xarray as xr
from minicuber.core.dataset import output, writing
from minicuber.core.dataset.export import export_dataset
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.validate import validate_dataset
from minicuber.core.errors import InputError, StorageError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

KEYS = {
    "context", "target", "context_time", "target_time", "context_variables", "target_variables", "weather",
    "weather_time", "weather_variables", "static", "static_variables", "context_filled", "target_filled", "lonlat",
    "sample_id",
}  # fmt: skip


def by_place(samples) -> dict:
    """Samples by the first date of the context and their name."""
    return {str(arrays["sample_id"]): arrays for _, arrays in samples}


@pytest.mark.parametrize("form", ["npz", "npz-sharded"])
def test_a_sample_holds_what_xarray_selects(make, export, samples_of, form):
    """Weather with its own dates, `shift` steps later: the study relabelled it (facts 1.9)."""
    path = make()
    folder = export(path, shift=2, format=form)
    samples = list(samples_of(folder))
    assert len(samples) == 30 * (40 - 6 - 3 - 2 + 1)
    with xr.open_dataset(path) as cube:
        for _, arrays in samples[::37]:
            assert set(arrays) == KEYS
            _, row, column, date = str(arrays["sample_id"]).split("_")
            place = cube.isel(y=int(row), x=int(column))
            first = int(np.flatnonzero(cube.time.values == np.datetime64(date))[0])
            expected = place[["s2_B04", "s2_ndvi"]].to_array().values
            np.testing.assert_array_equal(arrays["context"], expected[:, first : first + 6])
            np.testing.assert_array_equal(arrays["target"], expected[:, first + 6 : first + 9])
            weather = cube[["era5_t", "era5_tp"]].to_array().values
            np.testing.assert_array_equal(arrays["weather"], weather[:, first + 2 : first + 11])
            days = cube.time.values.astype("datetime64[D]")
            np.testing.assert_array_equal(arrays["context_time"], days[first : first + 6])
            np.testing.assert_array_equal(arrays["target_time"], days[first + 6 : first + 9])
            np.testing.assert_array_equal(arrays["weather_time"], days[first + 2 : first + 11])
            static = [float(place[name]) for name in ("dem", "forest", "esawc_lc")]
            np.testing.assert_array_equal(arrays["static"], np.float32(static))
            assert arrays["context_variables"].tolist() == ["s2_B04", "s2_ndvi"]
            assert arrays["static_variables"].tolist() == ["dem", "forest", "esawc_lc"]
            assert arrays["context"].dtype == arrays["weather"].dtype == np.float32
            assert arrays["context_time"].dtype == np.dtype("datetime64[D]")
            assert arrays["context_filled"].dtype == bool
            assert not arrays["context_filled"].any()


def test_patches_keep_rows_from_the_north_and_columns_from_the_west(make, export, samples_of):
    def weather_maps(cube):
        maps = np.random.default_rng(3).normal(size=cube.s2_ndvi.shape).astype("float32")
        return cube.assign(era5_sp=(("time", "y", "x"), maps))

    path = make(shape=(11, 9), change=weather_maps)
    folder = export(path, unit="patch", patch_size=4, patch_overlap=1, stride=5)
    samples = by_place(samples_of(folder))
    assert {name.split("_")[1] + name.split("_")[2] for name in samples} == {
        f"{row:04d}{column:04d}" for row in (0, 3, 6) for column in (0, 3)
    }
    with xr.open_dataset(path) as cube:
        for name, arrays in samples.items():
            _, row, column, date = name.split("_")
            place = cube.isel(y=slice(int(row), int(row) + 4), x=slice(int(column), int(column) + 4))
            first = int(np.flatnonzero(cube.time.values == np.datetime64(date))[0])
            expected = place[["s2_B04", "s2_ndvi"]].isel(time=slice(first, first + 6)).to_array().values
            np.testing.assert_array_equal(arrays["context"], expected)
            np.testing.assert_array_equal(arrays["weather"][2], place.era5_sp.values[first : first + 9])
            series = np.broadcast_to(cube.era5_t.values[first : first + 9, None, None], (9, 4, 4))
            np.testing.assert_array_equal(arrays["weather"][0], series)
            np.testing.assert_array_equal(arrays["static"][0], place.dem.values)


def test_blocks_and_shards_do_not_show_in_the_values(make, export, samples_of, monkeypatch):
    """A block's or shard's edge must neither lose nor double a sample."""
    path = make(shape=(9, 8))
    whole = by_place(samples_of(export(path, "whole", format="npz-sharded")))
    monkeypatch.setattr(writing, "SHARD_BYTES", 5000)
    monkeypatch.setattr("minicuber.core.dataset.values.VALUES_AT_ONCE", 40 * 5 * 7)
    cut = export(path, "cut", format="npz-sharded")
    assert len(list((cut / "train").iterdir())) > 50
    parts = by_place(samples_of(cut))
    assert parts.keys() == whole.keys()
    for name, arrays in parts.items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(values, whole[name][key])


@pytest.mark.parametrize("form", ["npz", "npz-sharded"])
def test_the_index_says_where_each_sample_lies(make, export, form, monkeypatch):
    monkeypatch.setattr(writing, "SHARD_BYTES", 20_000)
    path = make()
    folder = export(path, format=form, split="random", split_options={"unit": "pixel"}, stride=3)
    info = pyogrio.read_info(folder / "index.gpkg")
    assert info["crs"] == "EPSG:4326"
    assert info["geometry_type"] == "Point"
    meta, _, _, columns = pyogrio.raw.read(folder / "index.gpkg")
    table = dict(zip(meta["fields"], columns, strict=True))
    document = json.loads((folder / "dataset.json").read_text())
    assert len(table["row"]) == document["n_samples"] == sum(document["counts"].values())
    for number in range(0, len(table["row"]), 17):
        with np.load(folder / table["file"][number]) as stored:
            row = () if form == "npz" else table["row"][number]
            assert str(stored["sample_id"][row]) == table["sample_id"][number]
            np.testing.assert_array_equal(stored["lonlat"][row], [table["lon"][number], table["lat"][number]])
            assert stored["context_time"][row][0] == table["context_start"][number]
            assert stored["target_time"][row][-1] == table["target_end"][number]
        assert table["file"][number].startswith(table["split"][number] + "/")
    assert set(table["split"]) == {"train", "val", "test"}


def test_lonlat_is_the_pixels_centre(make, export, samples_of):
    from pyproj import Transformer

    path = make()
    samples = by_place(samples_of(export(path, stride=30)))
    move = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform
    for name, arrays in samples.items():
        _, row, column, _ = name.split("_")
        np.testing.assert_allclose(
            arrays["lonlat"], move(400_010 + 20 * int(column), 5_199_990 - 20 * int(row)), atol=1e-9
        )


def test_variables_are_restricted_kind_by_kind(make, export, samples_of):
    folder = export(make(), variables="s2_ndvi, s2_mask, dem", target_variables="s2_ndvi", stride=9)
    _, arrays = next(iter(samples_of(folder)))
    assert arrays["context_variables"].tolist() == ["s2_ndvi", "s2_mask"]
    assert arrays["target_variables"].tolist() == ["s2_ndvi"]
    assert arrays["weather_variables"].tolist() == ["era5_t", "era5_tp"]
    assert arrays["static_variables"].tolist() == ["dem"]


def test_statistics_are_those_of_the_training_samples_alone(make, export, samples_of):
    folder = export(make(), split="random", split_options={"unit": "pixel"}, shift=1)
    document = json.loads((folder / "dataset.json").read_text())
    train = [arrays for split, arrays in samples_of(folder) if split == "train"]
    assert 0 < len(train) < document["n_samples"]
    for kind in ("context", "target", "weather", "static"):
        values = np.stack([arrays[kind] for arrays in train]).astype(float)
        for number, name in enumerate(train[0][f"{kind}_variables"]):
            found, of = document["statistics"][kind][name], values[:, number]
            of = of[np.isfinite(of)]
            assert found["count"] == of.size
            np.testing.assert_allclose(
                [found["mean"], found["std"], found["min"], found["max"]],
                [of.mean(), of.std(), of.min(), of.max()],
                rtol=1e-6,
            )
    assert set(document["baselines"]["test"]) == {"persistence", "climatology"}


def test_the_document_says_what_a_user_must_know(make, export):
    path = make()
    document = json.loads((export(path) / "dataset.json").read_text())
    assert document["format_version"] == 1
    assert document["parameters"]["context"] == 6
    assert document["variables"]["weather"][0] == {"name": "era5_t", "units": "K"}
    assert document["counts"] == {"train": 960, "val": 0, "test": 0}
    assert document["leak_check"]["passed"] is True
    assert document["licences"] == ["CC-BY-4.0"]
    assert document["smoothing"]["leaks"] is False
    import hashlib

    assert document["cubes"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_same_cubes_and_seed_give_the_same_bytes(make, export, contents, monkeypatch):
    """Also with other threads, in another place, and with the cubes in another order but for the shards."""
    cubes = [make("a"), make("b", left=500_000.0, seed=2)]
    given = {"split": "random", "split_options": {"unit": "pixel"}, "max_samples": 7, "seed": 5}
    first = contents(export(cubes, "first", **given))
    monkeypatch.setattr(writing, "n_threads", lambda: 1)
    assert contents(export(cubes, "second", **given)) == first
    turned = contents(export(cubes[::-1], "third", **given))
    assert {k: v for k, v in turned.items() if k.endswith("npz")} == {
        k: v for k, v in first.items() if k.endswith("npz")
    }
    other = contents(export(cubes, "fourth", **{**given, "seed": 6}))
    assert other.keys() != first.keys()


def test_what_is_drawn_from_a_cube_does_not_depend_on_other_cubes(make, export, samples_of):
    one, other = make("one"), make("other", left=500_000.0, seed=2)
    given = {"split": "random", "split_options": {"unit": "pixel"}, "max_samples": 9}
    alone = {(split, str(a["sample_id"])) for split, a in samples_of(export(one, "alone", **given))}
    both = {(split, str(a["sample_id"])) for split, a in samples_of(export([other, one], "both", **given))}
    assert alone == {each for each in both if each[1].startswith("one_")}


def test_min_seen_leaves_out_samples_with_gaps(make, export, samples_of):
    folder = export(make(missing=0.4), min_seen_context=0.5, min_seen_target=0.6)
    samples = [arrays for _, arrays in samples_of(folder)]
    assert samples
    for arrays in samples:
        assert np.isfinite(arrays["context"]).mean() >= 0.5
        assert np.isfinite(arrays["target"]).mean() >= 0.6
    document = json.loads((folder / "dataset.json").read_text())
    assert document["dropped"]["samples"] == {"too few seen values": 960 - len(samples)}


def test_a_log_of_built_cubes_and_a_folder_name_cubes(make, export, tmp_path):
    make("a")
    make("b", left=500_000.0)
    log = tmp_path / "cubes" / "log.csv"
    log.write_text("id,cube,status\n1,a.nc,built\n2,b.nc,built\n3,c.nc,failed\n")
    names = []
    for source, output_name in ((log, "of log"), (tmp_path / "cubes", "of folder")):
        document = json.loads((export(source, output_name, stride=9) / "dataset.json").read_text())
        names.append([cube["name"] for cube in document["cubes"]])
    assert names == [["a", "b"], ["a", "b"]]


def test_cubes_of_one_name_keep_their_samples_apart(make, export, samples_of):
    cubes = [make("site", folder="one"), make("site", folder="two", left=500_000.0)]
    names = [str(arrays["sample_id"]) for _, arrays in samples_of(export(cubes, stride=9))]
    assert len(set(names)) == len(names)
    assert {name.split("_")[0] for name in names} == {"one", "two"}


def test_an_earlier_dataset_is_replaced_by_a_whole_one_alone(make, export, contents, tmp_path, monkeypatch):
    path = make()
    folder = export(path, stride=9)
    before = contents(folder)
    with monkeypatch.context() as broken:
        broken.setattr(
            "minicuber.core.dataset.export.write_document",
            lambda *_: (_ for _ in ()).throw(OSError(28, "full")),
        )
        with pytest.raises(StorageError, match="disk is full"):
            export(path, stride=8)
    assert contents(folder) == before
    export(path, stride=8)
    assert contents(folder) != before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cubes", "dataset"]


def test_cubes_in_another_order_of_variables_are_read_by_name(make, export, samples_of):
    def turned(cube):
        return cube[list(cube)[::-1]]

    one, other = make("one"), make("two", left=500_000.0, change=turned)
    plain = make("three", left=500_000.0)
    mixed = by_place(samples_of(export([one, other], "mixed", stride=9)))
    same = by_place(samples_of(export([one, plain], "same", stride=9)))
    for name, arrays in mixed.items():
        np.testing.assert_array_equal(arrays["context"], same[name.replace("two_", "three_")]["context"])


BAD = {
    "longer than the 40 dates of site.nc": {"context": 39, "target": 2},
    "WHERE has nothing, which site.nc does not have": {"where": "nothing > 1"},
    "VARIABLES has s2_B99, which site.nc does not have": {"variables": "s2_B99"},
    "TARGET_VARIABLES has dem": {"target_variables": "dem"},
    "No sample is left": {"where": "forest > 2"},
    "No sample is left:": {"season": "12-30/12-31"},
    "PATCH_SIZE .128. is larger than site.nc": {"unit": "patch"},
    "STRATA is no variable over y and x": {"strata": "s2_ndvi", "per_class": 1},
    "CLEANING has no effect": {"cleaning": {"max_gap": 3}},
    "SPLIT_OPTIONS has an unknown key: blok": {"split": "spatial", "split_options": {"blok": 3}},
    "fractions are not three shares": {"split": "random", "split_options": {"fractions": [0.5, 0.1, 0.1]}},
    "CONTEXT is less than 1": {"context": 0},
    "FORMAT is not known": {"format": "tfrecord"},
    "PLACES does not exist": {"places": "/nowhere.jsonl"},
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "given"), BAD.items(), ids=list(BAD))
def test_bad_input_is_said_before_anything_is_written(make, export, tmp_path, sentence, given):
    path = make()
    with pytest.raises(InputError, match=sentence) as error:
        export(path, **given)
    assert error.value.message.count(". ") == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cubes"]


def test_cubes_that_disagree_are_refused_by_name(make, export):
    one = make("one")
    less = make("less", left=500_000.0, change=lambda cube: cube.drop_vars("dem"))
    with pytest.raises(
        InputError, match=r"disagree in their variables \(static\): less.nc lacks dem, unlike one.nc"
    ):
        export([one, less])
    slower = make("slower", left=500_000.0, step=10)
    with pytest.raises(InputError, match=r"disagree in their steps: slower.nc has 10 days, one.nc has 5"):
        export([one, slower])


def test_a_folder_with_other_things_is_no_output(make, export, tmp_path):
    path = make()
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match="something else than a dataset"):
        export(path)


def test_a_full_disk_is_said_before_and_while_writing(make, export, monkeypatch):
    path = make()
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as full:
        full.setattr(output.shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(StorageError, match="MB left"):
            export(path)

    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_whole", write)
    with pytest.raises(StorageError, match="disk is full"):
        export(path)


def test_a_page_shows_the_dataset_when_it_is_wanted(make, export):
    path = make()
    assert not (export(path, stride=9) / "index.html").exists()
    assert "<img" in (export(path, stride=9, page=True) / "index.html").read_text()


@pytest.mark.parametrize("form", ["npz", "npz-sharded"])
def test_the_validator_finds_no_fault(make, export, form):
    folder = export(
        make(), format=form, split="random", split_options={"unit": "pixel"}, unit="patch", patch_size=2
    )
    assert validate_dataset(folder).faults == []


def test_the_job_is_found_by_its_name(make, tmp_path):
    given = {
        "cubes": [str(make())],
        "output": str(tmp_path / "d"),
        "context": 6.0,
        "target": 3,
        "max_samples": 2,
    }
    done = run_job("exportdataset", given, Progress())
    assert done["n_samples"] == 2 * 32
    assert done["index"] == str(tmp_path / "d" / "index.gpkg")
    with pytest.raises(InputError, match="CUBES is missing"):
        export_dataset(ExportParameters(output="x"), Progress())


def test_a_sample_that_no_file_can_hold_is_refused_before_any_work(make, export, monkeypatch, tmp_path):
    """It failed as a fault of the program, after the first cube."""
    monkeypatch.setattr("minicuber.core.dataset.export.MAX_BYTES", 500)
    with pytest.raises(InputError, match="A sample would have"):
        export(make())
    assert not list(tmp_path.glob("*dataset*")) and not list(tmp_path.glob(".dataset*"))
