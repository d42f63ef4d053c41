"""Wrong use, one sentence each, wherever an algorithm is started from (facts: models and scripts check little)."""

from __future__ import annotations

import os
import re

import pytest
from minicuber.core.environment import lookup
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProject,
    QgsProperty,
    QgsRectangle,
    QgsReferencedGeometry,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QTime

GOOD = {"START": "2021-06-01", "END": "2021-06-30", "DRY_RUN": True}


@pytest.fixture
def build(run, demo):
    def call(feedback=None, **changes):
        parameters = {"EXTENT": demo["EXTENT"], "CATALOG": demo["CATALOG"], **GOOD, **changes}
        return run("buildminicube", {k: v for k, v in parameters.items() if v is not None}, feedback)

    return call


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"EXTENT": "404880,406160,5200040,5201320"}, "EXTENT has no known CRS"),
        ({"EXTENT": QgsRectangle(404880, 5200040, 406160, 5201320)}, "EXTENT has no known CRS"),
        ({"EXTENT": None}, "EXTENT is missing"),
        ({"START": None}, "START is missing"),
        ({"START": "01.06.2021"}, "START"),
        ({"END": "2021-05-01"}, "END .* is before START"),
        ({"CATALOG": None}, "CATALOG is empty"),
        ({"CATALOG": "no/such/file.json"}, "does not exist"),
        ({"CATALOG": "https://example.org/stac?token=abc"}, "password, key or token"),
        ({"CRS": "EPSG:4326"}, "projected"),
        ({"DRY_RUN": False}, "OUTPUT is missing"),
        ({"WIDTH": 5}, "belong together"),
        ({"COLOUR": "red"}, "Unknown parameter: COLOUR"),
    ],
)
def test_wrong_value_is_one_sentence(build, changes, words):
    with pytest.raises(QgsProcessingException, match=words):
        build(**changes)


@pytest.mark.parametrize(
    "extent",
    [
        "404880,406160,5200040,5201320",
        "404880,406160,5200040,5201320 []",
        "404880,406160,5200040,5201320[EPSG:99999]",
        QgsRectangle(404880, 5200040, 406160, 5201320),
        QgsGeometry.fromRect(QgsRectangle(404880, 5200040, 406160, 5201320)),
        QgsProperty.fromValue("404880,406160,5200040,5201320"),
    ],
)
def test_extent_without_crs_is_refused_even_where_the_project_has_one(build, extent):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    with pytest.raises(QgsProcessingException, match="EXTENT has no known CRS"):
        build(EXTENT=extent)


@pytest.mark.parametrize(
    "extent",
    [
        "404880,406160,5200040,5201320[EPSG:32632]",
        " 404880, 406160, 5200040, 5201320 [EPSG:32632] ",
        QgsReferencedRectangle(
            QgsRectangle(404880, 5200040, 406160, 5201320), QgsCoordinateReferenceSystem("EPSG:32632")
        ),
        QgsReferencedGeometry(
            QgsGeometry.fromRect(QgsRectangle(404880, 5200040, 406160, 5201320)),
            QgsCoordinateReferenceSystem("EPSG:32632"),
        ),
        QgsProperty.fromValue("404880,406160,5200040,5201320 [EPSG:32632]"),
    ],
)
def test_extent_with_its_own_crs_counts_whatever_the_projects_is(build, extent):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    assert build(EXTENT=extent)["N_DATES"] > 0


@pytest.mark.parametrize(
    "address",
    [
        "https://anna:geheim@example.org/stac",
        "https://example.org/stac?sig=abc",
        "https://example.org/stac?a=1&access_token=abc",
        "https://example.org/stac?subscription-key=abc",
        "https://example.org/stac?X-Amz-Signature=abc",
        "https://example.org/stac?apikey=abc",
    ],
)
def test_address_with_a_secret_is_refused_before_anything_is_recorded(provider, address):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")
    allowed, why = algorithm.checkParameterValues({"CATALOG": address}, QgsProcessingContext())
    assert not allowed
    assert "CATALOG holds a password, key or token" in why
    assert "abc" not in why and "geheim" not in why


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_day_is_the_written_one_in_every_time_zone(build, feedback_class, monkeypatch, zone):
    # Dates are local midnight: in Tokyo their UTC day is the one before.
    monkeypatch.setenv("TZ", zone)
    feedback = feedback_class()
    day = QDateTime(QDate(2021, 6, 1), QTime(0, 0))
    result = build(feedback, START=day, END="2021-06-01")
    assert result["N_DATES"] == 1
    assert any("2021-06: 1 date" in line for line in feedback.words)


def test_relative_path_is_made_absolute(build, demo, tmp_path, monkeypatch):
    monkeypatch.chdir(os.path.dirname(demo["CATALOG"]))
    assert build(CATALOG="catalog.json")["N_ITEMS"] > 0
    monkeypatch.chdir(tmp_path)
    result = build(OUTPUT="sub/cube.nc", DRY_RUN=False, END="2021-06-05", LOAD=False)
    assert result["OUTPUT"] == str(tmp_path / "sub/cube.nc")
    assert (tmp_path / "sub/cube.nc").is_file()


def test_missing_environment_says_how_to_make_it_everywhere(run, demo, monkeypatch):
    monkeypatch.delenv(lookup.VARIABLE, raising=False)
    with pytest.raises(QgsProcessingException, match="Set up environment"):
        run("buildminicube", {"EXTENT": demo["EXTENT"]})
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")
    allowed, why = algorithm.canExecute()
    assert not allowed
    assert "minicuber:setupenvironment" in why
    assert "\n" not in why
    setup = QgsApplication.processingRegistry().createAlgorithmById("minicuber:setupenvironment")
    assert setup.canExecute()[0]


def test_wrong_interpreter_is_named_not_passed_over(run, demo, monkeypatch, tmp_path):
    monkeypatch.setenv(lookup.VARIABLE, str(tmp_path / "python"))
    with pytest.raises(QgsProcessingException, match=str(tmp_path)):
        run("buildminicube", {"EXTENT": demo["EXTENT"]})


def test_cancel_raises_and_leaves_nothing(build, feedback_class, tmp_path):
    feedback = feedback_class(cancel_at=40)
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        build(feedback, OUTPUT=str(tmp_path / "cube.nc"), DRY_RUN=False, START="2020-03-01", END="2022-08-31")
    assert list(tmp_path.iterdir()) == []


def test_estimate_says_dates_clouds_and_sizes(build, feedback_class):
    feedback = feedback_class()
    result = build(feedback, START="2021-06-01", END="2021-07-31")
    assert result["OUTPUT"] is None
    assert (result["N_DATES"], result["N_ITEMS"]) == (13, 26)
    assert result["ESTIMATED_MB"] > 0
    assert any(re.match(r"2021-07: \d dates, median cloud cover \d+ %", line) for line in feedback.words)
