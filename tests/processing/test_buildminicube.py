"""Cubes built in QGIS from real images, compared with the source files through GDAL, not through the core."""

from __future__ import annotations

import base64
import functools
import json
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from minicuber.processing.presets import preset_names
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsAuthMethodConfig,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)

gdal.UseExceptions()


def pixels(path, band=1):
    dataset = gdal.Open(str(path))
    return dataset.GetRasterBand(band).ReadAsArray(), dataset.GetGeoTransform()


def extent(transform, shape, crs):
    rows, columns = shape
    left, top = transform[0], transform[3]
    right, bottom = left + columns * transform[1], top + rows * transform[5]
    return f"{left!r},{right!r},{bottom!r},{top!r} [{crs}]"


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "resolution", "bands"),
    [
        ("gfmap_be_2023_04", 10, {"B01": "coastal", "B04": "red", "B08": "nir", "SCL": "scl"}),
        ("treesatai_abies_2020", 10, {"B02": "blue", "B8A": "nir08", "B12": "swir22", "SCL": "scl"}),
        ("eolearn_si_l1c_2015", 0, {"B02": "blue", "B09": "nir09", "SCL": "scl"}),
    ],
)
def test_reflectance_is_exactly_the_sources(run, shared, tmp_path, name, resolution, bands):
    folder = shared / "data/s2_stac" / name
    features = json.loads((folder / "items.json").read_text())["features"]
    features.sort(key=lambda feature: feature["properties"]["datetime"])
    first = folder / features[0]["assets"][next(iter(bands.values()))]["href"]
    values, transform = pixels(first)
    crs = f"EPSG:{features[0]['properties']['proj:epsg']}"
    output = tmp_path / "cube.nc"
    run(
        "buildminicube",
        {
            "EXTENT": extent(transform, values.shape, crs), "START": features[0]["properties"]["datetime"][:10],
            "END": features[-1]["properties"]["datetime"][:10], "CATALOG": str(folder / "items.json"),
            "RESOLUTION": resolution, "S2_BANDS": list(bands), "OUTPUT": str(output), "LOAD": False,
        },
    )  # fmt: skip
    for band, asset in bands.items():
        layer = QgsRasterLayer(str(tmp_path / f"cube.layers/s2_{band}.vrt"), band, "gdal")
        assert layer.isValid()
        assert layer.bandCount() == len(features)
        for number, feature in enumerate(features, start=1):
            source, _ = pixels(folder / feature["assets"][asset]["href"])
            stored, there = pixels(f'NETCDF:"{output}":s2_{band}', number)
            if band == "SCL":
                np.testing.assert_array_equal(stored, source)
            else:
                # The README of the data: these products hold no offset. 0 is missing.
                np.testing.assert_array_equal(stored, np.where(source == 0, -32768, source.astype(int)))
            np.testing.assert_allclose(there, transform, rtol=0, atol=1e-6)
            assert layer.bandName(number).endswith(feature["properties"]["datetime"][:10])


@pytest.mark.real
def test_identify_of_a_pixel_gives_its_series_in_reflectance(run, shared, tmp_path):
    folder = shared / "data/s2_stac/gfmap_be_2023_04"
    output = tmp_path / "cube.nc"
    run(
        "buildminicube",
        {
            "EXTENT": "643300,643700,5676000,5676300 [EPSG:32631]", "START": "2023-04-01", "END": "2023-04-30",
            "CATALOG": str(folder), "S2_BANDS": "B08", "OUTPUT": str(output), "LOAD": False,
        },
    )  # fmt: skip
    from qgis.core import QgsPointXY, QgsRaster

    layer = QgsRasterLayer(str(tmp_path / "cube.layers/s2_B08.vrt"), "x", "gdal")
    point = QgsPointXY(643505, 5676105)
    formats = getattr(QgsRaster, "IdentifyFormatValue", None) or QgsRaster.IdentifyFormat.IdentifyFormatValue
    series = layer.dataProvider().identify(point, formats).results()
    features = json.loads((folder / "items.json").read_text())["features"]
    features.sort(key=lambda feature: feature["properties"]["datetime"])
    assert len(series) == len(features)
    for number, feature in enumerate(features, start=1):
        values, transform = pixels(folder / feature["assets"]["nir"]["href"])
        dn = values[int((transform[3] - point.y()) / 10), int((point.x() - transform[0]) / 10)]
        assert series[number] == pytest.approx(dn * 1e-4, abs=1e-7) if dn else series[number] is None


def test_temporary_output_and_loading(run, demo, feedback_class):
    feedback = feedback_class()
    result = run(
        "buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-20", "CATALOG": demo["CATALOG"],
            "OUTPUT": "TEMPORARY_OUTPUT", "S2_MASK": "scl",
        },
        feedback,
    )  # fmt: skip
    assert result["OUTPUT"].endswith(".nc")
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    names = [node.layer().name() for node in group.findLayers()]
    assert names == ["s2_rgb", "s2_B02", "s2_B03", "s2_B04", "s2_B08", "s2_mask"]
    assert feedback.steps[-1] == 100
    assert feedback.steps == sorted(feedback.steps)


def order(demo, **changes):
    return {
        "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-07-31", "CATALOG": demo["CATALOG"],
        "S2_BANDS": ["B02", "SCL"], "LOAD": False, **changes,
    }  # fmt: skip


def test_zarr_cube_shows_the_same_layers_as_netcdf(run, demo, tmp_path):
    for name in ("cube.nc", "cube.zarr"):
        run("buildminicube", order(demo, OUTPUT=str(tmp_path / name), LOAD=True, END="2021-06-20"))
        loaded = list(QgsProject.instance().mapLayers().values())
        assert {layer.name() for layer in loaded} == {"s2_B02", "s2_SCL"} and all(
            la.isValid() for la in loaded
        )
        QgsProject.instance().clear()
        (tmp_path / "cube.layers").rename(tmp_path / f"{name}.layers")
    for variable in ("s2_B02", "s2_SCL"):
        # Each with its layers at their own place: the VRTs have relative paths.
        values = []
        for name in ("cube.nc", "cube.zarr"):
            (tmp_path / f"{name}.layers").rename(tmp_path / "cube.layers")
            layer = QgsRasterLayer(str(tmp_path / f"cube.layers/{variable}.vrt"), "x", "gdal")
            assert layer.isValid() and layer.bandCount() == 4
            block = layer.dataProvider().block(3, layer.extent(), layer.width(), layer.height())
            values.append(bytes(block.data()))
            del layer
            (tmp_path / "cube.layers").rename(tmp_path / f"{name}.layers")
        assert values[0] == values[1]


def test_regular_axis_clear_dates_and_methods_reach_the_core(run, demo, tmp_path):
    output = tmp_path / "cube.nc"
    result = run(
        "buildminicube",
        order(
            demo, OUTPUT=str(output), TIME_AXIS="regular", STEP_DAYS=10, MIN_CLEAR=30, S2_MASK="scl",
            RESAMPLING='{"SCL": "mode"}', FALLBACK_CATALOG=demo["CATALOG"],
        ),
    )  # fmt: skip
    assert result["N_DATES"] == 6
    dataset = gdal.Open(f'NETCDF:"{output}":s2_image_date')
    recipe = json.loads(dataset.GetMetadataItem("NC_GLOBAL#recipe"))
    assert (recipe["time_axis"], recipe["step_days"], recipe["min_clear"]) == ("regular", 10, 30)
    assert recipe["resampling"] == {"SCL": "mode"}
    days, _ = pixels(f'NETCDF:"{output}":s2_image_date', 2)
    last = 18779 + 19  # 2021-06-01 is day 18779; the second step ends 19 days later
    assert set(np.unique(days)) <= {-1, *range(last - 9, last + 1)}


def test_recipe_alone_is_enough_and_wins(run, demo, tmp_path):
    first, second = tmp_path / "a.nc", tmp_path / "b.nc"
    run("buildminicube", order(demo, OUTPUT=str(first), END="2021-06-20"))
    result = run(
        "buildminicube", {"RECIPE": str(first), "OUTPUT": str(second), "LOAD": False, "S2_BANDS": ["B8A"]}
    )
    assert result["N_DATES"] == 4
    for band in range(1, 5):
        np.testing.assert_array_equal(
            pixels(f'NETCDF:"{first}":s2_B02', band)[0], pixels(f'NETCDF:"{second}":s2_B02', band)[0]
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RESAMPLING": "bilinear"}, "RESAMPLING is not JSON"),
        ({"RESAMPLING": "[1]"}, "RESAMPLING is no JSON object"),
        ({"RESAMPLING": '{"B02": 3}'}, "unknown method"),
        ({"RECIPE": "no/such/recipe.json"}, "RECIPE does not exist"),
        ({"CATALOG": "atlantis"}, "no catalog named 'atlantis'.*planetary-computer"),
        ({"CATALOG": "earth-search/atlantis"}, "no collection atlantis"),
        ({"CATALOG_AUTH": "abc1234"}, "abc1234 cannot be opened"),
        ({"FALLBACK_CATALOG": "https://anna:geheim@example.org"}, "password, key or token"),
    ],
)
def test_wrong_choice_is_one_sentence_before_any_download(run, demo, changes, words):
    with pytest.raises(QgsProcessingException, match=words):
        run("buildminicube", order(demo, DRY_RUN=True, **changes))


def make_login(name, password):
    """The id of a new authentication configuration."""
    manager = QgsApplication.authManager()
    assert manager.setMasterPassword("secret of the test", True)
    config = QgsAuthMethodConfig("Basic")
    config.setName(name)
    config.setConfig("username", name)
    config.setConfig("password", password)
    stored = manager.storeAuthenticationConfig(config)
    assert stored[0] if isinstance(stored, tuple) else stored
    return config.id()


def test_credentials_of_qgis_reach_the_catalog_and_nothing_else(run, demo, tmp_path, feedback_class):
    """Basic authentication from QGIS's manager; the secret stands neither in the log nor in the cube."""
    config = make_login("anna", "geheim123")
    folder = Path(demo["CATALOG"]).parent
    seen = set()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            wanted = "Basic " + base64.b64encode(b"anna:geheim123").decode()
            if self.headers.get("Authorization") != wanted:
                self.send_error(401)
            else:
                seen.add(self.path.rsplit(".", 1)[-1])
                super().do_GET()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/{Path(demo['CATALOG']).name}"
    feedback = feedback_class()
    try:
        changes = {"CATALOG": address, "END": "2021-06-06", "OUTPUT": str(tmp_path / "cube.nc")}
        with pytest.raises(QgsProcessingException, match=r"HTTP 401.*CATALOG_AUTH"):
            run("buildminicube", order(demo, **changes))
        run("buildminicube", order(demo, **changes, CATALOG_AUTH=config), feedback)
    finally:
        server.shutdown()
        server.server_close()
    assert {"json", "tif"} <= seen
    assert "geheim123" not in " ".join(feedback.words)
    assert b"geheim123" not in (tmp_path / "cube.nc").read_bytes()


def test_presets_of_the_user_lie_in_the_profile(run, demo):
    """One more catalog, in the form of the registry, works by its name and stands in the dialog's list."""
    file = Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "catalogs.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(demo["CATALOG"]).parent
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    )
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{Path(demo['CATALOG']).name}"
    file.write_text(json.dumps({"catalogs": [{"id": "valley", "title": "Ours", "url": url}]}))
    try:
        result = run("buildminicube", order(demo, CATALOG="valley", END="2021-06-10", DRY_RUN=True))
        assert result["N_DATES"] == 2
        assert preset_names()[-1] == "valley"
        file.write_text('{"catalogs": [{"id": "valley", "colour": "red"}]}')
        with pytest.raises(QgsProcessingException, match=r"entry valley.*colour"):
            run("buildminicube", order(demo, CATALOG="valley", DRY_RUN=True))
    finally:
        server.shutdown()
        server.server_close()
        file.unlink()


def series(path, name):
    """The numbers of a variable over time alone, as GDAL reads them."""
    return gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER).GetRootGroup().OpenMDArray(name).ReadAsArray()


def test_climate_comes_on_the_dates_of_the_images(run, demo, tmp_path):
    """Rain of the hours that end in the days since the previous image, counted here from the store's own hours."""
    output = tmp_path / "cube.nc"
    choice = ["t", "max", "t", "p95", "tp", "sum", "vpd", ""]
    changes = {
        "ERA5_SOURCE": demo["ERA5"],
        "ERA5_VARIABLES": choice,
        "ERA5_DAILY": True,
        "OUTPUT": str(output),
    }
    run("buildminicube", order(demo, **changes))
    days, rain = series(output, "time"), series(output, "era5_tp")
    hours, store = series(demo["ERA5"], "time"), series(demo["ERA5"], "tp")[:, 1, 1]  # the cell of the demo
    hours = hours / 24.0 + (np.datetime64("1900-01-01") - np.datetime64("1970-01-01")).astype(int)
    first = days[0] - 4
    for day, value in zip(days, rain):
        taken = (hours > first) & (hours <= day + 1)
        assert taken.sum() == 24 * (day + 1 - first)
        assert value == pytest.approx(store[taken].sum(), rel=1e-5)
        first = day + 1
    temperature = series(demo["ERA5"], "t2m")[:, 1, 1]
    taken = (hours >= days[-2] + 1) & (hours < days[-1] + 1)
    assert series(output, "era5_t_max")[-1] == pytest.approx(temperature[taken].max(), rel=1e-6)
    assert series(output, "era5_t_p95")[-1] == pytest.approx(np.percentile(temperature[taken], 95), rel=1e-6)
    assert series(output, "era5_vpd").min() >= 0
    assert len(series(output, "era5_tp_daily")) == days[-1] - days[0] + 5
    np.testing.assert_array_equal(series(output, "time_bnds")[1:, 0], days[:-1] + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ERA5_SOURCE": "nowhere"}, r"no climate store named 'nowhere'.*Known: era5-pds"),
        ({"ERA5_VARIABLES": ["t", "mean", "tp"]}, "ERA5_VARIABLES"),
        ({"ERA5_VARIABLES": ["warmth", "mean"]}, r"Unknown climate variable: 'warmth'.*Known: t, dp"),
        (
            {"ERA5_VARIABLES": ["t", "average"]},
            r"ERA5_VARIABLES, t: Unknown aggregation: 'average'.*percentiles",
        ),
        ({"ERA5_VARIABLES": ["sea_t", "mean"]}, r"no sea surface temperature.*It has: t2m"),
        ({"ERA5_SOURCE": "https://a.org/x.zarr?token=secret"}, "ERA5_SOURCE holds a password, key or token"),
        ({"ERA5_SOURCE": "ecmwf-era5"}, r"wants a token.*ERA5_AUTH.*CDSAPI_KEY"),
    ],
)
def test_wrong_climate_is_one_sentence_and_writes_nothing(run, demo, tmp_path, monkeypatch, changes, message):
    monkeypatch.delenv("CDSAPI_KEY", raising=False)
    output = tmp_path / "cube.nc"
    with pytest.raises(QgsProcessingException, match=message):
        run("buildminicube", order(demo, **{"ERA5_SOURCE": demo["ERA5"], "OUTPUT": str(output), **changes}))
    assert not output.exists()


def test_token_of_climate_data_reaches_its_server_and_nothing_else(run, demo, tmp_path, feedback_class):
    """From QGIS's authentication manager; not in the log, not in the cube."""
    seen = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization")
            seen.append(given)
            if given != "Basic " + base64.b64encode(b"me:geheim456").decode():
                return self.send_error(401)
            data = Path(demo["ERA5"]).read_bytes()
            start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            part = data[int(start) : int(end or len(data)) + 1]
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(part)

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{Path(demo['ERA5']).name}"
    feedback = feedback_class()
    config = make_login("me", "geheim456")
    try:
        with pytest.raises(QgsProcessingException, match=r"refuses access.*ERA5_AUTH"):
            run("buildminicube", order(demo, ERA5_SOURCE=url, OUTPUT=str(tmp_path / "none.nc")))
        result = run(
            "buildminicube",
            order(demo, ERA5_SOURCE=url, ERA5_AUTH=config, OUTPUT=str(tmp_path / "cube.nc")),
            feedback,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert np.isfinite(series(result["OUTPUT"], "era5_tp")).all()
    assert "geheim456" not in " ".join(feedback.words)
    assert b"geheim456" not in (tmp_path / "cube.nc").read_bytes()
