"""What others build on: ids, parameter names and defaults, and that nothing lacks its help."""

from __future__ import annotations

import json

import helpers
import pytest
from minicuber.processing.help import HELP
from minicuber.processing.provider import ALGORITHMS
from qgis.core import QgsApplication

# Parameters with choices, and what the core calls these.
CHOICES = {
    "MODE": "MODES", "METHOD": "METHODS", "SNOW": "SNOW", "DROP": "DROPPED", "UNIT": "UNITS", "SPLIT": "SPLIT_KINDS",
    "SMOOTHING": "SMOOTHINGS", "FORMAT": "FORMAT_NAMES",
}  # fmt: skip
# Frozen: saved models and scripts use these names. Add, never rename.
FROZEN = {
    "setupenvironment": {"RECREATE": False},
    "createdemodata": {"OUTPUT": None, "LOAD": True},
    "buildminicube": {
        "EXTENT": None, "CRS": None, "RESOLUTION": 10.0, "WIDTH": 0, "HEIGHT": 0, "START": None, "END": None,
        "CATALOG": None, "S2_BANDS": ["B02", "B03", "B04", "B08"], "S2_MASK": "none", "MAX_CLOUD": 100.0,
        "MIN_CLEAR": 0.0, "TIME_AXIS": "s2", "STEP_DAYS": 5, "FALLBACK_CATALOG": None, "CATALOG_AUTH": None,
        "RESAMPLING": None, "FAIL_ON_MISSING": False, "RECIPE": None, "DRY_RUN": False, "LOAD": True, "OUTPUT": None,
        "ERA5_SOURCE": None, "ERA5_VARIABLES": ["t", "mean", "tp", "sum"], "ERA5_WINDOW": "since_previous",
        "ERA5_DAILY": False, "ERA5_SPACE": "auto", "ERA5_DEM": None, "MIN_HOURS_SHARE": 1.0, "ERA5_AUTH": None,
    },
    "aggregatetime": {
        "CUBE": None, "VARIABLES": None, "STEP_DAYS": 5, "LIKE": None, "LOAD": True, "OUTPUT": None,
    },
    "spectralindices": {
        "CUBE": None, "INDICES": None, "PARAMETERS": None, "FEATURES": [], "LOAD": True, "OUTPUT": None,
    },
    "cleanclouds": {
        "CUBE": None, "MODE": "robust", "DRIVER": "s2_ndvi", "REMOVE_FRACTION": 0.05, "MAX_GAP": 36, "METHOD": "loess",
        "LOESS_FRACTION": 0.07, "WINDOW_DAYS": 30, "MIN_GROUP": 8, "WHITTAKER_LAMBDA": 0.0, "LOESS_ITERATIONS": 3,
        "SAVGOL_DAYS": 60, "SAVGOL_DEGREE": 2, "MAX_EXTRAPOLATION": 6, "DILATE": 0,
        "DROP": ["cloud", "shadow", "other"], "SNOW": "drop", "YEARS": "", "VARIABLES": "", "MASK": "s2_mask",
        "REPORT": None, "LOAD": True, "OUTPUT": None,
    },
    "exportdataset": {
        "CUBES": None, "CONTEXT": 54, "TARGET": 18, "STRIDE": 1, "SHIFT": 0, "MAX_STEP_DAYS": 0, "UNIT": "pixel",
        "PATCH_SIZE": 128, "VARIABLES": None, "TARGET_VARIABLES": None, "WHERE": None, "SEASON": None,
        "MAX_SAMPLES": 0, "SPLIT": "none", "SPLIT_OPTIONS": None, "SMOOTHING": "none", "CLEANING": None,
        "FORMAT": "npz", "SEED": 0, "EXCLUDE": None, "MIN_SEEN_CONTEXT": 0.0, "MIN_SEEN_TARGET": 0.0,
        "PATCH_OVERLAP": 0, "PATCH_SHARE": 0.5, "MIN_DISTANCE": 0.0, "STRATA": None, "PER_CLASS": 0, "PLACES": None,
        "PLACES_FIELD": None, "LOAD": True, "OUTPUT": None,
    },
    "resplitdataset": {
        "DATASET": None, "SPLIT_NAME": None, "SPLIT": "random", "SPLIT_OPTIONS": None, "SEED": 0,
    },
    "attachlayers": {
        "CUBE": None, "LAYERS": None, "OPTIONS": None, "REPLACE": True, "DATE_PATTERN": None, "DATE_MATCH": "exact",
        "DATE_TOLERANCE": 0, "LOAD": True, "OUTPUT": None,
    },
    "terrainvariables": {
        "CUBE": None, "DEM": None, "DEM_VARIABLE": None, "VARIABLES": ["slope", "northness", "eastness"],
        "SCALES": None, "LOAD": True, "OUTPUT": None,
    },
    "loadminicube": {"CUBE": None, "VARIABLES": None, "PER_DATE": False},
}  # fmt: skip
OUTPUTS = {
    "setupenvironment": {"ENVIRONMENT", "REPORT"},
    "createdemodata": {"OUTPUT", "CATALOG", "EXTENT", "START", "END", "ERA5", "LAYERS"},
    "buildminicube": {"OUTPUT", "N_ITEMS", "N_DATES", "ESTIMATED_MB", "ESTIMATED_DOWNLOAD_MB"},
    "aggregatetime": {"OUTPUT"},
    "spectralindices": {"OUTPUT"},
    "cleanclouds": {"OUTPUT", "REMOVED_PERCENT", "REPORT"},
    "exportdataset": {"OUTPUT", "INDEX", "N_SAMPLES"},
    "resplitdataset": {"OUTPUT", "N_SAMPLES"},
    "attachlayers": {"OUTPUT", "COVERAGE"},
    "terrainvariables": {"OUTPUT"},
    "loadminicube": set(),
}
BANDS = [
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B11",
    "B12",
    "AOT",
    "WVP",
    "SCL",
]


@pytest.fixture(params=sorted(FROZEN))
def algorithm(request, provider):
    found = QgsApplication.processingRegistry().createAlgorithmById(f"minicuber:{request.param}")
    assert found is not None
    return found


def test_provider_is_there_with_all_algorithms(provider):
    assert provider.id() == "minicuber"
    assert {a.id() for a in provider.algorithms()} == {f"minicuber:{cls.ID}" for cls in ALGORITHMS}
    assert set(FROZEN) <= {cls.ID for cls in ALGORITHMS}


def test_names_and_defaults_are_frozen(algorithm):
    definitions = {d.name(): d.defaultValue() for d in algorithm.parameterDefinitions()}
    for name, default in FROZEN[algorithm.name()].items():
        assert name in definitions
        assert definitions[name] == default, name
    assert OUTPUTS[algorithm.name()] <= {o.name() for o in algorithm.outputDefinitions()}


def test_every_parameter_has_help_and_a_description(algorithm):
    for definition in algorithm.parameterDefinitions():
        assert len(definition.help()) > 10, definition.name()
        assert definition.description()
    assert algorithm.shortHelpString() and algorithm.shortDescription() and algorithm.tags()
    assert not algorithm.icon().isNull()


def test_help_has_no_text_for_a_parameter_that_is_gone(algorithm):
    words = {"NAME", "SHORT", "GROUP", "GROUP_ID", "TAGS", "HELP"}
    assert set(HELP[algorithm.name()]) - words == {d.name() for d in algorithm.parameterDefinitions()}


def test_all_but_the_first_input_are_optional_for_qgis(algorithm):
    # So that recipes, estimates and later releases work; the algorithm checks for itself.
    optional = type(algorithm.parameterDefinitions()[0]).FlagOptional
    needed = [d.name() for d in algorithm.parameterDefinitions() if not d.flags() & optional]
    assert needed in ([], ["CUBE"], ["CUBES"], ["DATASET"], ["OUTPUT"])


def test_help_lists_the_static_strings_of_the_enums(provider):
    build = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")
    bands = build.parameterDefinition("S2_BANDS")
    assert bands.options() == BANDS
    assert bands.usesStaticStrings()
    for name, options in (
        ("S2_BANDS", BANDS),
        ("S2_MASK", ["none", "scl"]),
        ("TIME_AXIS", ["s2", "regular"]),
    ):
        for option in options:
            assert option in build.parameterDefinition(name).help()


def test_bands_of_the_dialog_are_those_of_the_core(root):
    # The dialog cannot import the core's table, which needs numpy's newer half.
    text = (root / "core/sources/sentinel2_bands.py").read_text()
    assert all(f'"{band}": Band(' in text for band in BANDS)
    assert text.count(": Band(") == len(BANDS)


@pytest.mark.parametrize(
    ("name", "source", "kind"),
    [
        ("cleanclouds", "minicuber.core.cleaning.options", "CleaningOptions"),
        ("exportdataset", "minicuber.core.dataset.parameters", "ExportParameters"),
    ],
)
def test_defaults_and_choices_are_those_of_the_core(provider, name, source, kind):
    """The algorithm cannot import the core's packages, so it says again what the core says."""
    code = (
        "import dataclasses, importlib, json\n"
        f"module = importlib.import_module({source!r})\n"
        f"fields = dataclasses.fields(module.{kind})\n"
        "defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}\n"
        f"choices = {{n: list(getattr(module, n)) for n in {list(CHOICES.values())!r} if hasattr(module, n)}}\n"
        "print(json.dumps([defaults, choices]))\n"
    )
    defaults, choices = json.loads(helpers.in_the_core(code))
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"minicuber:{name}")
    compared = 0
    for definition in algorithm.parameterDefinitions():
        key = definition.name().lower()
        if key in defaults and definition.type() in ("number", "enum"):
            assert definition.defaultValue() == defaults[key], key
            compared += 1
    assert compared > 10
    options = {d.name(): d.options() for d in algorithm.parameterDefinitions() if d.type() == "enum"}
    assert {each: choices[CHOICES[each]] for each in options} == options
