"""Kinds of stores and ways to them: layouts, formats, servers, tokens and keys. Values by plain xarray."""

from __future__ import annotations

import base64
import json
import sys
import threading
import warnings

import numpy as np
import pytest
import xarray as xr
from climate_stores import (
    LATITUDES,
    LONGITUDES,
    PLACE,
    Collected,
    catalogs,
    climate,
    days_of,
    entry,
    hours,
    noise,
    plain,
    store,
    to_zarr,
    weather,
)
from minicuber import __version__
from minicuber.core.climate.chunks import ChunkCache
from minicuber.core.errors import InputError, MinicuberError, SourceError
from minicuber.core.jobs import run_job
from minicuber.core.partstore import PartStore
from minicuber.core.progress import Progress
from minicuber.core.worker.client import run_in_child
from scenery import collection_file, scene

DAYS = days_of(
    "2019-12-30", "2020-01-02", "2020-01-31"
)  # over a year's end; its last hour stands in the next month
TIMES = hours("2019-12-20", "2020-02-05")
ENDING = {"tp", "precipitation_amount_1hour_Accumulation"}


def dataset_of(names=("t2m", "tp"), **how):
    return store(TIMES, names, **how)


def assert_right(cube, dataset, days=DAYS, **names):
    """`names`: ours to the dataset's; t is a mean, tp a sum."""
    for ours, theirs in (names or {"t": "t2m", "tp": "tp"}).items():
        series = dataset[theirs].sel(latitude=PLACE[1], longitude=PLACE[0])
        wanted = plain(series, days, "sum" if theirs in ENDING else "mean", theirs in ENDING, series.dims[0])
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(cube[f"era5_{ours}"], wanted, rtol=1e-6, err_msg=ours)


CRS, CORNER = "EPSG:32632", (422_000.0, 5_206_000.0)  # around 8 E, 47 N
EXTENT = [422_100.0, 422_400.0, 5_205_600.0, 5_205_900.0]
BOTH = ("t", "mean", "tp", "sum")
SECRET = "S3cret-x"  # noqa: S105


# --- the layout of era5-pds on a real S3 --------------------------------------------------------------------

NAMES = {"t": "air_temperature_at_2_metres", "tp": "precipitation_amount_1hour_Accumulation"}


def pds_files(months=("2019-12", "2020-01", "2020-02")):
    """(year, month, variable, dataset) as in era5-pds: sums along time1 with bounds, all else along time0."""
    longitudes = np.arange(0, 360, 4.0)
    for variable, name in NAMES.items():
        time = "time1" if variable == "tp" else "time0"
        whole = store(TIMES, (name,), LATITUDES, longitudes, time, {name: "m" if variable == "tp" else "K"})
        whole = whole.rename(latitude="lat", longitude="lon")
        if variable == "tp":
            bounds = np.stack([TIMES - np.timedelta64(1, "h"), TIMES], axis=1)
            whole["time1_bounds"] = ("time1", "nv"), bounds
            whole.time1.attrs["bounds"] = "time1_bounds"
            whole.time1.encoding["units"] = "hours since 1979-01-01"
        for month in months:
            inside = TIMES.astype("datetime64[M]").astype(str) == month
            yield *month.split("-"), name, whole.isel({time: inside})


def assert_pds_right(cube, place=(8.0, 47.0)):
    for variable, name in NAMES.items():
        time, ending = ("time1", True) if variable == "tp" else ("time0", False)
        series = store(TIMES, (name,), LATITUDES, np.arange(0, 360, 4.0), time)[name]
        series = series.sel(latitude=place[1], longitude=place[0] % 360, method="nearest")
        wanted = plain(series, DAYS, "sum" if ending else "mean", ending, time)
        np.testing.assert_allclose(cube[f"era5_{variable}"], wanted, rtol=1e-6)


def put(address, bucket, folder, prefix=""):
    """The files of a folder into a bucket of the real S3."""
    boto3 = pytest.importorskip("boto3")
    session = boto3.Session("KEY", "secret", region_name="us-east-1")
    client = session.client("s3", endpoint_url=address)
    client.create_bucket(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }]}))  # fmt: skip
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            client.put_object(
                Bucket=bucket, Key=prefix + path.relative_to(folder).as_posix(), Body=path.read_bytes()
            )
    return client


def s3_of(address, **more):
    return {"endpoint": address, "region": "us-east-1", "virtual_hosting": False, **more}


@pytest.fixture(scope="session")
def pds(s3_server, tmp_path_factory):
    """A bucket era5-pds with three months as Zarr and as NetCDF."""
    folder = tmp_path_factory.mktemp("era5-pds")
    for year, month, name, dataset in pds_files():
        place = folder / f"{year}/{month}/data"
        place.mkdir(parents=True, exist_ok=True)
        dataset.to_netcdf(place / f"{name}.nc", engine="h5netcdf")
        (folder / f"zarr/{year}/{month}/data").mkdir(parents=True, exist_ok=True)
        to_zarr(dataset, folder / f"zarr/{year}/{month}/data/{name}.zarr")
    return put(s3_server, "era5-pds", folder)


@pytest.mark.parametrize(("preset", "place"), [("era5-pds", (-4.2, 47.0)), ("era5-pds-netcdf", (8.0, 47.0))])
def test_layout_of_era5_pds_on_a_real_s3(pds, s3_server, tmp_path, preset, place):
    """Through the preset, of which the user's own entry changes the endpoint alone."""
    file = catalogs(tmp_path, {"id": preset, "s3": s3_of(s3_server)})
    cube = weather(preset, BOTH, DAYS, tmp_path / "parts", place, catalogs=file)
    assert_pds_right(cube, place)


def test_months_that_are_not_there_are_missing_and_said(pds, s3_server, tmp_path, caplog):
    preset = "era5-pds"
    file = catalogs(tmp_path, {"id": preset, "s3": s3_of(s3_server)})
    days = days_of("2020-01-15", "2020-02-03", "2020-03-10")
    cube = weather(preset, BOTH, days, tmp_path / "parts", catalogs=file)
    assert list(np.isfinite(cube["era5_t"])) == [True, True, False]
    assert "1 of 3 files of t are not there" in caplog.text


@pytest.mark.parametrize(
    ("preset", "changed", "days", "sentence"),
    [
        ("era5-pds", {"url": "s3://no-such-bucket/{year}/{month}/{variable}.zarr"}, DAYS, "no-such-bucket"),
        (
            "era5-pds-netcdf",
            {"url": "s3://no-such-bucket/{year}/{month}/{variable}.nc"},
            DAYS,
            "no-such-bucket",
        ),
        ("era5-pds", {}, days_of("1970-05-01"), "has the days from 1979-01-01"),
        ("era5-pds", {}, days_of("1998-05-01"), "has no 2 metre temperature from 1998-04-27 to 1998-05-01"),
        ("era5-pds", {"variables": {"tp": "snow"}}, DAYS, "has no total precipitation"),
        (
            "era5-pds",
            {"variables": {"t": None}},
            DAYS,
            "has no 2 metre temperature, or its entry does not name it",
        ),
    ],
)
def test_what_an_object_store_does_not_have_is_one_sentence(
    pds, s3_server, tmp_path, preset, changed, days, sentence
):
    file = catalogs(tmp_path, {"id": preset, "s3": s3_of(s3_server), **changed})
    with pytest.raises(MinicuberError, match=sentence) as caught:
        climate(preset, BOTH, days, catalogs=file).look(Progress())
    assert "\n" not in str(caught.value)


def test_cube_with_weather_of_a_real_s3_from_end_to_end(pds, s3_server, tmp_path):
    items = [
        scene(tmp_path, f"S2A_{day}", CRS, CORNER, f"{day}T10:30:00Z", size=60)
        for day in ("2019-12-30", "2020-01-02", "2020-01-31")
    ]
    file = catalogs(tmp_path, {"id": "era5-pds", "s3": s3_of(s3_server)})
    order = {
        "recipe": {
            "extent": EXTENT, "extent_crs": CRS, "start": "2019-12-25",
            "end": "2020-02-10", "catalog": str(collection_file(tmp_path, items)), "s2_bands": ["B02"],
            "era5_source": "era5-pds", "era5_variables": BOTH,
        },
        "output": str(tmp_path / "cube.nc"), "catalogs_file": str(file), "parts_folder": str(tmp_path / "parts"),
        "chunk_cache": "none",
    }  # fmt: skip
    result = run_job("buildminicube", order, Progress())
    assert result["estimated_download_mb"] > 0
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert [str(day)[:10] for day in cube.time.values] == [day.isoformat() for day in DAYS]
        assert cube.era5_t.dims == ("time",) and cube.era5_tp.units == "m"
        assert_pds_right({name: cube[name].values for name in ("era5_t", "era5_tp")})
        first, last = cube.time_bnds.values[:, 0], cube.time_bnds.values[:, 1]
        assert [str(each)[:10] for each in first] == ["2019-12-26", "2019-12-31", "2020-01-03"]
        assert [str(each)[:10] for each in last] == ["2019-12-31", "2020-01-03", "2020-02-01"]
        assert cube.era5_t.attrs["cell_methods"] == "time: mean" and "Copernicus" in cube.attrs["license"]


# --- formats on a web server --------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "consolidated"), [(2, True), (3, True), (3, False), (2, False)], ids=str)
@pytest.mark.parametrize("known", [True, False])
def test_zarr_on_a_plain_web_server(serve, tmp_path, version, consolidated, known):
    """One that lists nothing: what is not consolidated is asked for by name."""
    dataset = dataset_of()
    how = {"zarr_format": version, "consolidated": consolidated}
    to_zarr(dataset, tmp_path / "store.zarr", (100, 3, 3), **how)
    url = f"{serve(tmp_path).url}/store.zarr"
    file = catalogs(tmp_path, entry(url, {"t": "t2m", "tp": "tp"})) if known else ""
    assert_right(weather(url, BOTH, DAYS, tmp_path / "parts", catalogs=file), dataset)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_group_in_a_store(serve, tmp_path, version, consolidated):
    dataset = dataset_of()
    how = {"zarr_format": version, "group": "single/temporal", "consolidated": False}
    path = to_zarr(dataset, tmp_path / "store.zarr", **how)
    if consolidated:
        import zarr

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(path))
    for place in (path, f"{serve(tmp_path).url}/store.zarr"):
        file = catalogs(tmp_path, entry(place, {"t": "t2m", "tp": "tp"}, group="single/temporal"))
        assert_right(weather("mine", BOTH, DAYS, tmp_path / f"parts{place == path}", catalogs=file), dataset)


def test_one_long_chunk_per_point_as_in_stores_for_time_series(serve, tmp_path):
    """Of chunks of (33792, 4, 8) one per variable is fetched: that which holds the point."""
    dataset = dataset_of(
        ("t2m", "tp", "d2m"), latitudes=np.arange(50, 44, -0.25), longitudes=np.arange(0, 12, 0.25)
    )
    to_zarr(dataset, tmp_path / "store.zarr", (33792, 4, 8))
    server = serve(tmp_path)
    assert_right(weather(f"{server.url}/store.zarr", BOTH, DAYS, tmp_path / "parts"), dataset)
    row, column = 12 // 4, 32 // 8
    for name in ("t2m", "tp"):
        chunks = [
            path for path in server.sent if path.startswith(f"store.zarr/{name}/") and path[-1].isdigit()
        ]
        assert chunks == [f"store.zarr/{name}/0.{row}.{column}"]
    assert not [path for path in server.sent if "d2m" in path]
    assert max(server.requests[path] for path in server.sent if path[-1].isdigit()) == 1


@pytest.mark.parametrize("from_the_end", [True, False])
def test_of_shards_only_what_holds_the_point_is_read_and_it_is_kept(serve, tmp_path, from_the_end):
    """Servers that know no ranges that count from the end send all, of which the end is what was asked for."""
    dataset = dataset_of(("t2m",), latitudes=np.arange(51, 43, -0.25), longitudes=np.arange(4, 12, 0.25))
    encoding = {"t2m": {"chunks": (100, 4, 4), "shards": (1200, 32, 32)}}
    dataset.to_zarr(tmp_path / "store.zarr", encoding=encoding, zarr_format=3, consolidated=False)
    server, days = serve(tmp_path), DAYS[:2]
    shard = (tmp_path / "store.zarr/t2m/c/0/0/0").read_bytes()

    def rule(asked):
        wanted = asked.headers.get("Range", "")
        return {"status": 206, "body": shard[int(wanted[6:]) :]} if wanted.startswith("bytes=-") else None

    server.rule = rule if from_the_end else server.rule
    for name in "ab":
        before = server.sent["store.zarr/t2m/c/0/0/0"]
        cube = weather(
            f"{server.url}/store.zarr", ("t", "mean"), days, tmp_path / name, cache=tmp_path / "cache"
        )
        assert_right(cube, dataset, days, t="t2m")
        sent = server.sent["store.zarr/t2m/c/0/0/0"] - before
        assert sent == 0 if name == "b" else sent < len(shard) / 20 or not from_the_end


@pytest.mark.parametrize("place", [(8.0, 47.0), (8.62, 46.38)])
def test_no_more_chunks_are_read_than_those_with_the_point_and_the_period(serve, tmp_path, place):
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "store.zarr", (48, 2, 2))
    server = serve(tmp_path)
    weather(f"{server.url}/store.zarr", ("t", "mean"), DAYS[1:2], tmp_path / "parts", place)
    row, column = np.abs(LATITUDES - place[1]).argmin() // 2, np.abs(LONGITUDES - place[0]).argmin() // 2
    first = (np.datetime64("2019-12-29") - TIMES[0]) // np.timedelta64(48, "h")
    last = (np.datetime64("2020-01-02T23") - TIMES[0]) // np.timedelta64(48, "h")
    wanted = {f"store.zarr/t2m/{n}.{row}.{column}" for n in range(first, last + 1)}
    assert {path for path in server.requests if "/t2m/" in path and path[-1].isdigit()} == wanted
    assert not any("/tp/" in path for path in server.requests)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_4_and_3_on_disk_and_on_a_server(serve, tmp_path, engine):
    dataset = dataset_of()
    dataset.to_netcdf(tmp_path / "era5.nc", engine=engine)
    assert_right(weather(tmp_path / "era5.nc", BOTH, DAYS, tmp_path / "parts"), dataset)
    assert_right(weather(f"{serve(tmp_path).url}/era5.nc", BOTH, DAYS, tmp_path / "other"), dataset)


def test_zarr_on_disk_and_folder_of_monthly_netcdf(tmp_path):
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "store.zarr")
    assert_right(weather(tmp_path / "store.zarr", BOTH, DAYS, tmp_path / "a"), dataset)
    folder = tmp_path / "files"
    folder.mkdir()
    for month in ("2019-12", "2020-01", "2020-02"):
        for name in ("t2m", "tp"):  # as the CDS gives them: a file per month and kind of variable
            dataset[[name]].sel(time=month).to_netcdf(folder / f"{name}_{month}.nc", engine="h5netcdf")
    assert_right(weather(folder, BOTH, DAYS, tmp_path / "b"), dataset)


def test_big_folder_is_not_read_to_look_into_it(tmp_path, monkeypatch):
    """To look means metadata: the values of files stay on disk."""
    folder = tmp_path / "files"
    folder.mkdir()
    for month in ("2019-12", "2020-01"):
        dataset_of(("t2m",)).sel(time=month).to_netcdf(folder / f"{month}.nc", engine="h5netcdf")
    made = climate(folder, ("t", "mean"), DAYS[:2])
    made.look(Progress())
    assert all(not raw.array.variable._in_memory for raw in made._found["t"])


# --- Icechunk -----------------------------------------------------------------------------------------------


def icechunk_repository(storage, dataset, group=None):
    icechunk = pytest.importorskip("icechunk")
    session = icechunk.Repository.create(storage(icechunk)).writable_session("main")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.to_zarr(session.store, group=group, mode="w", consolidated=False, zarr_format=3)
    session.commit("first")


def test_icechunk_repository_on_disk(tmp_path):
    dataset = dataset_of()
    icechunk_repository(lambda i: i.local_filesystem_storage(str(tmp_path / "a")), dataset, "single/temporal")
    file = catalogs(
        tmp_path,
        entry(tmp_path / "a", {"t": "t2m", "tp": "tp"}, format="icechunk", group="single/temporal"),
    )
    assert_right(weather("mine", BOTH, DAYS, tmp_path / "parts", catalogs=file), dataset)
    # Of the user's own, without an entry that says what it is.
    icechunk_repository(lambda i: i.local_filesystem_storage(str(tmp_path / "b")), dataset)
    assert_right(weather(tmp_path / "b", BOTH, DAYS, tmp_path / "other"), dataset)


@pytest.mark.parametrize("keys", [False, True])
def test_icechunk_repository_on_a_real_s3_through_the_preset(s3_server, tmp_path, keys):
    dataset, bucket = dataset_of(), f"icechunk-{keys}".lower()
    (tmp_path / "none").mkdir()
    put(s3_server, bucket, tmp_path / "none")
    icechunk_repository(
        lambda i: i.s3_storage(
            bucket=bucket, prefix="repo/v2", endpoint_url=s3_server, allow_http=True, force_path_style=True,
            region="us-east-1", access_key_id="KEY", secret_access_key=SECRET,
        ),
        dataset, "single/temporal",
    )  # fmt: skip
    changed = {
        "url": f"s3://{bucket}/repo/v2",
        "s3": s3_of(s3_server, keys=keys),
        "auth": "keys" if keys else "",
    }
    file = catalogs(tmp_path, {"id": "earthmover-era5", **changed})
    given = {"username": "KEY", "password": "secret"} if keys else {}
    cube = weather("earthmover", BOTH, DAYS, tmp_path / "parts", catalogs=file, credentials=given)
    assert_right(cube, dataset)


def test_icechunk_repository_on_a_web_server(serve, tmp_path):
    if not hasattr(pytest.importorskip("icechunk"), "http_storage"):
        pytest.skip("this Icechunk, of Python 3.11, reads no web servers")
    dataset = dataset_of()
    icechunk_repository(lambda i: i.local_filesystem_storage(str(tmp_path / "repo")), dataset)
    url = f"{serve(tmp_path).url}/repo"
    file = catalogs(tmp_path, entry(url, {"t": "t2m", "tp": "tp"}, format="icechunk"))
    assert_right(weather("mine", BOTH, DAYS, tmp_path / "parts", catalogs=file), dataset)


@pytest.mark.parametrize("place", ["s3", "http", "path"])
def test_icechunk_repository_that_is_not_there(s3_server, serve, tmp_path, place):
    icechunk = pytest.importorskip("icechunk")
    if place == "http" and not hasattr(icechunk, "http_storage"):
        pytest.skip("this Icechunk, of Python 3.11, reads no web servers")
    url = {
        "s3": "s3://nothing-here/repo",
        "http": f"{serve(tmp_path).url}/repo",
        "path": str(tmp_path / "repo"),
    }[place]
    file = catalogs(tmp_path, entry(url, format="icechunk", s3=s3_of(s3_server)))
    with pytest.raises(SourceError, match="There is no climate store at") as caught:
        climate("mine", ("t", "mean"), DAYS, catalogs=file).look(Progress())
    assert "\n" not in str(caught.value)


# --- servers that stumble, and the chunks that are kept -----------------------------------------------------


@pytest.mark.parametrize("trouble", [503, 429, {"cut": True}], ids=str)
@pytest.mark.parametrize("kind", ["zarr", "nc"])
def test_servers_that_stumble_are_asked_again(serve, tmp_path, trouble, kind):
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "store.zarr") if kind == "zarr" else dataset.to_netcdf(
        tmp_path / "store.nc", engine="h5netcdf"
    )
    server, count = serve(tmp_path), {}

    def rule(asked):
        count[asked.path] = number = count.get(asked.path, 0) + 1
        if asked.method != "GET" or (kind == "nc" and number > 3) or (kind == "zarr" and number > 1):
            return None
        return trouble if kind == "zarr" or number == 2 else None

    server.rule = rule
    assert_right(weather(f"{server.url}/store.{kind}", BOTH, DAYS, tmp_path / "parts"), dataset)
    assert max(server.requests.values()) > 1


@pytest.mark.parametrize("when", ["metadata", "chunks"])
def test_server_that_stays_down_is_one_sentence(serve, tmp_path, when):
    to_zarr(dataset_of(), tmp_path / "store.zarr")
    server = serve(tmp_path)
    server.rule = lambda asked: 503 if when == "metadata" or "/t2m/0" in asked.path else None
    with pytest.raises(SourceError, match=r"cannot be read \(HTTP 503\)") as caught:
        weather(f"{server.url}/store.zarr", BOTH, DAYS, tmp_path / "parts")
    assert server.url in str(caught.value) and "\n" not in str(caught.value)


def test_chunks_are_kept_and_damaged_ones_are_fetched_again(serve, tmp_path):
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "store.zarr", (500, 7, 7))
    server, cache = serve(tmp_path), tmp_path / "cache"

    def run(name):
        server.requests.clear()
        assert_right(weather(f"{server.url}/store.zarr", BOTH, DAYS, tmp_path / name, cache=cache), dataset)
        return {
            path for path in server.requests if ("/t2m/" in path or "/tp/" in path) and path[-1].isdigit()
        }

    first = run("a")
    assert len(first) == 6 and run("b") == set()
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert run("c") == first


def test_store_that_grew_is_not_read_from_old_chunks(serve, tmp_path):
    """Its last chunk was kept when half of it was missing."""
    dataset = dataset_of()
    cut = np.datetime64("2020-01-01T12")
    path = to_zarr(dataset.sel(time=slice(None, cut)), tmp_path / "store.zarr", (2000, 7, 7))
    url, cache = f"{serve(tmp_path).url}/store.zarr", tmp_path / "cache"
    before = weather(url, BOTH, DAYS, tmp_path / "a", cache=cache)
    assert list(np.isfinite(before["era5_t"])) == [True, False, False]
    to_zarr(dataset, path, (2000, 7, 7))
    assert_right(weather(url, BOTH, DAYS, tmp_path / "b", cache=cache), dataset)


def test_cache_keeps_to_its_size_and_age_and_the_unused_go_first(tmp_path):
    cache = ChunkCache(tmp_path / "cache", max_bytes=10_000)
    for number in range(40):
        cache.put(str(number), bytes([number]) * 1000)
        assert cache.get("0") == bytes(1000)
    cache.clean()
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 10_000
    assert cache.get("0") == bytes(1000) and cache.get("39") and cache.get("1") is None
    assert ChunkCache(tmp_path / "cache", max_age=-1).get("39") is None
    old = ChunkCache(tmp_path / "cache", max_age=-1)
    old.clean()
    assert not list((tmp_path / "cache").iterdir())


def test_cache_that_cannot_be_written_costs_no_more_than_requests(serve, tmp_path, caplog):
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "store.zarr")
    (tmp_path / "cache").write_text("a file")
    url = f"{serve(tmp_path).url}/store.zarr"
    assert_right(weather(url, BOTH, DAYS, tmp_path / "parts", cache=tmp_path / "cache"), dataset)
    assert "chunks are not kept" in caplog.text


# --- who may read -------------------------------------------------------------------------------------------


def below(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def assert_secret_kept(folder, cube, caplog):
    assert SECRET not in caplog.text and SECRET not in str(cube.attributes)
    assert SECRET.encode() not in below(folder / "parts") + below(folder / "cache")


GUARDS = {
    "bearer": f"Bearer {SECRET}",
    "basic": "Basic " + base64.b64encode(f"token:{SECRET}".encode()).decode(),
}


class Guarded:
    """A store that wants a header; what else is asked is refused."""

    def __init__(self, serve, folder, auth):
        (folder / "files").mkdir()
        self.dataset, self.folder, self.auth = dataset_of(), folder, auth
        to_zarr(self.dataset, folder / "files" / "store.zarr")
        self.server = serve(folder / "files")
        self.status, self.wanted = 401, GUARDS[auth]
        self.server.rule = lambda asked: (
            None if asked.headers.get("Authorization") == self.wanted else self.status
        )
        self.url = f"{self.server.url}/store.zarr"
        self.file = catalogs(
            folder,
            entry(self.url, {"t": "t2m", "tp": "tp"}, auth=auth, token_name="CDSAPI_KEY"),  # noqa: S106
        )

    def weather(self, **credentials):
        return weather(
            "mine", BOTH, DAYS, self.folder / "parts", catalogs=self.file, credentials=credentials,
            cache=self.folder / "cache",
        )  # fmt: skip


@pytest.fixture(params=["bearer", "basic"])
def guarded(request, serve, tmp_path):
    return Guarded(serve, tmp_path, request.param)


@pytest.mark.parametrize("way", ["header", "password", "environment"])
def test_token_reaches_the_store_and_nothing_else(guarded, tmp_path, caplog, monkeypatch, way):
    caplog.set_level("DEBUG")
    given = {
        "header": {"header": "authorization", "value": guarded.wanted},
        "password": {"username": "token", "password": SECRET},
        "environment": {},
    }[way]
    if way == "environment":
        monkeypatch.setenv("CDSAPI_KEY", SECRET)
    cube = guarded.weather(**given)
    assert_right(cube, guarded.dataset)
    assert_secret_kept(tmp_path, cube, caplog)
    assert any(asked.headers.get("Authorization") == guarded.wanted for asked in guarded.server.asked)


def test_no_token_is_said_before_any_request(guarded):
    with pytest.raises(InputError, match=r"wants a token\..*ERA5_AUTH.*CDSAPI_KEY"):
        guarded.weather()
    assert not guarded.server.asked


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_token_is_said_with_the_status(guarded, status, caplog):
    guarded.status = status
    with pytest.raises(SourceError, match=rf"refuses access \(HTTP {status}\)\..*ERA5_AUTH") as caught:
        guarded.weather(username="token", password="wr0ng")  # noqa: S106
    assert "wr0ng" not in str(caught.value) + caplog.text
    assert len(guarded.server.asked) <= 4


def test_header_of_another_name_is_refused_before_any_request(guarded):
    with pytest.raises(InputError, match=r"X-Key of ERA5_AUTH cannot be used"):
        guarded.weather(header="X-Key", value=SECRET)
    assert not guarded.server.asked


def test_token_is_not_sent_to_where_a_redirect_leads(guarded, serve, tmp_path):
    """Nor to other servers of the files."""
    elsewhere, rule = serve(tmp_path / "files"), guarded.server.rule

    def redirect(asked):
        if rule(asked) is None and "/t2m/" in asked.path:
            return {"status": 302, "headers": {"Location": f"{elsewhere.url}/{asked.path}"}}
        return rule(asked)

    guarded.server.rule = redirect
    assert_right(guarded.weather(header="Authorization", value=guarded.wanted), guarded.dataset)
    assert elsewhere.asked and {asked.headers.get("Authorization") for asked in elsewhere.asked} == {None}


def test_login_of_a_netrc_does_not_clash_with_the_token(guarded, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert_right(guarded.weather(header="Authorization", value=guarded.wanted), guarded.dataset)


def test_store_for_anyone_gets_the_header_that_the_user_gives(serve, tmp_path):
    """A URL of the user's own, which no entry knows."""
    made = Guarded(serve, tmp_path, "basic")
    cube = weather(
        made.url, BOTH, DAYS, tmp_path / "parts", credentials={"username": "token", "password": SECRET}
    )
    assert_right(cube, made.dataset)


def refusing(server):
    """Like an object store that knows the key KEY alone."""

    def rule(asked):
        said = asked.headers.get("Authorization") or ""
        if said.startswith("AWS4-HMAC-SHA256 Credential=KEY/"):
            return None
        text = b"<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
        return {"status": 403, "body": text, "headers": {"Content-Type": "application/xml"}}

    server.rule = rule
    return server


@pytest.mark.parametrize("way", ["given", "environment"])
def test_keys_of_an_object_store(s3_server, tmp_path, way, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "files" / "store.zarr")
    put(s3_server, f"keyed-{way}", tmp_path / "files")
    store_entry = entry(f"s3://keyed-{way}/store.zarr", {"t": "t2m", "tp": "tp"}, auth="keys")
    file = catalogs(tmp_path, {**store_entry, "s3": s3_of(s3_server, keys=True)})
    given = {"username": "KEY", "password": SECRET} if way == "given" else {}
    with pytest.raises(InputError, match="wants keys of an object store"):
        climate("mine", BOTH, DAYS, catalogs=file)
    if way == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    cube = weather(
        "mine", BOTH, DAYS, tmp_path / "parts", catalogs=file, credentials=given, cache=tmp_path / "cache"
    )
    assert_right(cube, dataset)
    assert_secret_kept(tmp_path, cube, caplog)


@pytest.mark.parametrize("kind", ["zarr", "nc"])
def test_wrong_keys_are_said_and_right_ones_work_in_the_same_process(serve, tmp_path, kind):
    dataset = dataset_of()
    (tmp_path / "bucket").mkdir()
    to_zarr(dataset, tmp_path / "bucket" / "store.zarr")
    dataset.to_netcdf(tmp_path / "bucket" / "store.nc", engine="h5netcdf")
    server = refusing(serve(tmp_path))
    store_entry = entry(f"s3://bucket/store.{kind}", {"t": "t2m", "tp": "tp"}, auth="keys")
    file = catalogs(tmp_path, {**store_entry, "s3": s3_of(server.url, keys=True)})
    given = {"username": "OTHER", "password": SECRET}
    with pytest.raises(SourceError, match=r"refuses access.*ERA5_AUTH") as caught:
        climate("mine", BOTH, DAYS, catalogs=file, credentials=given).look(Progress())
    assert SECRET not in str(caught.value)
    cube = weather(
        "mine", BOTH, DAYS, tmp_path / "parts", catalogs=file, credentials={**given, "username": "KEY"}
    )
    assert_right(cube, dataset)


def test_anonymous_bucket_sees_nobodys_keys(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    dataset = dataset_of()
    to_zarr(dataset, tmp_path / "bucket" / "store.zarr")
    server = serve(tmp_path)
    file = catalogs(
        tmp_path, {**entry("s3://bucket/store.zarr", {"t": "t2m", "tp": "tp"}), "s3": s3_of(server.url)}
    )
    assert_right(weather("mine", BOTH, DAYS, tmp_path / "parts", catalogs=file), dataset)
    assert {asked.headers.get("Authorization") for asked in server.asked} == {None}


# --- signed addresses ---------------------------------------------------------------------------------------


class Signed:
    """The layout of the Planetary Computer: files for those who know the container's token, and a server of tokens."""

    def __init__(self, serve, folder):
        (folder / "tokens").mkdir()
        self.folder = folder
        for year, month, name, dataset in pds_files():
            place = folder / f"acc/era5/ERA5/{year}/{month}"
            place.mkdir(parents=True, exist_ok=True)
            to_zarr(dataset, place / f"{name}.zarr")
        self.files, self.tokens = serve(folder), serve(folder / "tokens")
        self.valid, self.lock, self.life = f"sig={SECRET}", threading.Lock(), "2099-01-01T00:00:00Z"
        self.tokens.rule = lambda asked: {"json": {"token": self.valid, "msft:expiry": self.life}}
        self.files.rule = lambda asked: None if asked.query == self.valid else 403
        template = "{account}/{container}"
        signing = {"url": f"{self.tokens.url}/{template}", "hrefs": [f"{self.files.url}/{template}/"]}
        url = f"{self.files.url}/acc/era5/ERA5/{{year}}/{{month}}/{{variable}}.zarr"
        (folder / "catalogs.json").write_text(json.dumps({
            "catalogs": [{"id": "mine", "title": "M", "url": f"{self.files.url}/stac", "signing": signing}],
            "climate": [{"id": "planetary-computer-era5", "url": url}],
        }))  # fmt: skip

    def weather(self, **more):
        return weather(
            "mpc-era5", BOTH, DAYS, self.folder / "parts", catalogs=self.folder / "catalogs.json",
            cache=self.folder / "cache", **more,
        )  # fmt: skip


@pytest.fixture
def signed(serve, tmp_path):
    return Signed(serve, tmp_path)


def test_signed_store_is_read_with_one_token_that_stands_nowhere(signed, caplog, tmp_path):
    caplog.set_level("DEBUG")
    cube = signed.weather()
    assert_pds_right(cube)
    assert sum(signed.tokens.requests.values()) == 1
    assert {asked.query for asked in signed.files.asked} == {f"sig={SECRET}"}
    assert {asked.query for asked in signed.tokens.asked} == {""}
    assert_secret_kept(tmp_path, cube, caplog)
    assert "sig=" not in caplog.text


def test_signed_store_does_not_see_the_users_credentials(signed):
    assert_pds_right(signed.weather(credentials={"username": "me", "password": "mine"}))
    assert {asked.headers.get("Authorization") for asked in signed.files.asked} == {None}


@pytest.mark.parametrize("trouble", ["refused", "no token"])
def test_signature_that_is_refused_or_cannot_be_had(signed, trouble, caplog):
    if trouble == "refused":
        signed.files.rule = lambda asked: 403
        sentence = r"refuses access \(HTTP 403\)"
    else:
        signed.tokens.rule = lambda asked: 404
        sentence = r"signature for files of .* cannot be had"
    with pytest.raises(SourceError, match=sentence) as caught:
        signed.weather()
    assert SECRET not in str(caught.value) + caplog.text and "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", [True, False])
def test_token_is_in_nothing_that_a_worker_says_or_writes(signed, tmp_path, lost):
    """Libraries put whole addresses into their errors, of which the worker sends the traceback."""
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    items = [scene(scenes, "S2A", CRS, CORNER, "2020-01-06T10:30:00Z", size=60)]
    order = {
        "recipe": {
            "extent": EXTENT, "extent_crs": CRS, "start": "2020-01-01", "end": "2020-01-10",
            "catalog": str(collection_file(scenes, items)), "s2_bands": ["B02"], "era5_source": "mpc-era5",
            "era5_variables": BOTH,
        },
        "output": str(tmp_path / "out" / "cube.nc"), "catalogs_file": str(tmp_path / "catalogs.json"),
        "parts_folder": str(tmp_path / "out" / "parts"), "chunk_cache": str(tmp_path / "out" / "cache"),
    }  # fmt: skip
    (tmp_path / "out").mkdir()
    if lost:
        rule = signed.files.rule
        signed.files.rule = lambda asked: 403 if asked.path.endswith("/0.0.0") else rule(asked)
    said, failure = [], None
    try:
        run_in_child(
            sys.executable, "buildminicube", order, version=__version__,
            on_log=lambda level, text: said.append(text), on_progress=lambda fraction, text: said.append(text),
        )  # fmt: skip
    except SourceError as error:
        failure = error
    assert (failure is not None) == lost
    assert not lost or ("HTTP 403" in str(failure) and failure.details)
    assert SECRET not in f"{said} {failure} {failure and failure.details}"
    assert SECRET.encode() not in below(tmp_path / "out")
    assert not [text for text in said if "Unclosed" in text]


# --- what cannot be used, in one sentence -------------------------------------------------------------------


def test_sources_that_are_not_there_or_are_something_else(serve, tmp_path):
    server = serve(tmp_path)
    (tmp_path / "a.grib").write_bytes(b"GRIB" + bytes(100))
    (tmp_path / "a.nc").write_bytes(b"<html>")
    (tmp_path / "b.zarr").mkdir()
    cases = {
        str(tmp_path / "none.zarr"): (InputError, "no climate store named .*, and no such file"),
        "era6": (InputError, "no climate store named 'era6'.*Known: era5-pds"),
        f"{server.url}/none.zarr": (SourceError, r"There is no climate store at http.*none\.zarr"),
        f"{server.url}/none.nc": (SourceError, r"There is no climate store at http.*none\.nc"),
        str(tmp_path / "a.grib"): (InputError, r"a\.grib is GRIB"),
        f"{server.url}/a.nc": (InputError, "neither NetCDF nor Zarr"),
        str(tmp_path / "a.nc"): (InputError, r"a\.nc is neither NetCDF nor Zarr"),
        str(tmp_path / "b.zarr"): (InputError, "without a Zarr store and without NetCDF"),
        "gs://bucket/store.zarr": (InputError, "address of an unknown kind"),
        "http://127.0.0.1:9/store.zarr": (SourceError, r"cannot be read"),
    }
    for source, (kind, sentence) in cases.items():
        with pytest.raises(kind, match=sentence) as caught:
            climate(source, ("t", "mean"), DAYS).look(Progress())
        assert "\n" not in str(caught.value) and caught.value.hint, source


def test_variables_and_dates_that_a_store_lacks(tmp_path):
    path = to_zarr(dataset_of(), tmp_path / "store.zarr")
    cases = [
        (("dp", "mean"), DAYS, r"has no 2 metre dew point temperature.*It has: t2m, tp"),
        (("vpd", "mean"), DAYS, "has no 2 metre dew point temperature"),
        (
            ("t", "mean"),
            days_of("2018-01-05"),
            "from 2019-12-20 to 2020-02-05, the cube needs 2018-01-01 to 2018-01-05",
        ),
        (
            ("t", "mean"),
            days_of("2021-01-05"),
            "from 2019-12-20 to 2020-02-05, the cube needs 2021-01-01 to 2021-01-05",
        ),
    ]
    for variables, days, sentence in cases:
        with pytest.raises(MinicuberError, match=sentence):
            climate(path, variables, days).look(Progress())
    for variables, sentence in (
        (("snow", "mean"), "Unknown climate variable: 'snow'.*Known: t,"),
        (("t", "mode"), "Unknown aggregation: 'mode'"),
        (("t", "p101"), "Unknown aggregation"), (("t",), "a name without an aggregation: t"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            climate(path, variables, DAYS)


def test_values_that_are_read_do_not_depend_on_the_threads(serve, tmp_path):
    """Several variables from several files at once, twice: equal."""
    dataset = dataset_of(("t2m", "tp", "d2m", "sp", "u10", "v10", "ssrd"))
    to_zarr(dataset, tmp_path / "store.zarr", (100, 2, 2))
    url = f"{serve(tmp_path).url}/store.zarr"
    asked = (
        "t",
        "mean",
        "tp",
        "sum",
        "dp",
        "mean",
        "sp",
        "mean",
        "wind_10",
        "mean",
        "sr",
        "sum",
        "rh",
        "mean",
    )
    one, two = (weather(url, asked, DAYS, tmp_path / name) for name in "ab")
    assert_right(one, dataset)
    assert isinstance(one, Collected) and one.arrays.keys() == two.arrays.keys()
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, two[name])
    u, v = (noise(dataset.t2m.shape, n)[:, 3, 3] for n in (4, 5))
    wind = xr.DataArray(np.hypot(u, v), {"time": TIMES}, "time")
    np.testing.assert_allclose(one["era5_wind_10"], plain(wind, DAYS, "mean"), rtol=1e-6)
    assert PartStore(tmp_path / "a").n_finished == 7


def test_daily_store_of_the_earth_system_data_lab(tmp_path):
    """Values of days, at their beginning, under the names that earthnet-minicuber reads."""
    names = {"t2m": "t", "t2mmax": "maxt", "t2mmin": "mint", "tp": "tp"}
    days = hours("2020-02-22", "2020-03-07")[::24]
    path = to_zarr(store(days, names, units={"t2mmax": "K", "t2mmin": "K"}), tmp_path / "esdl.zarr")
    choice = ("t", "mean", "maxt", "max", "mint", "min", "tp", "sum")
    cube = weather(f"esdl-daily:{path}", choice, days_of("2020-02-27", "2020-03-01"), tmp_path / "parts")
    point = xr.open_zarr(path).sel(latitude=PLACE[1], longitude=PLACE[0], method="nearest").load()
    step = point.sel(time=slice("2020-02-28", "2020-03-01"))
    wanted = {"t": step.t2m.mean(), "maxt": step.t2mmax.max(), "mint": step.t2mmin.min(), "tp": step.tp.sum()}
    for name, value in wanted.items():
        np.testing.assert_allclose(cube[f"era5_{name}"][1], value, rtol=1e-6)


def test_damaged_answer_that_was_kept_is_asked_for_again(serve, tmp_path):
    """A page of a hotel's network in place of a chunk must not break every run for a week."""
    path = to_zarr(store(hours("2020-02-22", "2020-03-07")), tmp_path / "store.zarr", (400, 3, 3))
    server, days = serve(tmp_path), days_of("2020-02-27", "2020-03-01")
    server.rule = lambda asked: (
        {"body": b"<html>Sign in</html>"} if "/t2m/" in asked.path and asked.path[-1].isdigit() else None
    )
    url = f"{server.url}/store.zarr"
    with pytest.raises(SourceError, match="cannot be read"):
        weather(url, ("t", "mean"), days, tmp_path / "parts", cache=tmp_path / "chunks")
    server.rule = lambda asked: None
    cube = weather(url, ("t", "mean"), days, tmp_path / "parts", cache=tmp_path / "chunks")
    assert np.isfinite(cube["era5_t"]).all()
    assert path.exists()
