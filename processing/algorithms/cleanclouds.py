"""minicuber:cleanclouds: a cube without clouds and outliers, its gaps filled and its series smoothed."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..cube_algorithm import CubeAlgorithm
from ..parameters import Parameters
from ..text import tr

TYPE = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber)
MODES = ["robust", "seed"]
METHODS = ["loess", "whittaker", "savgol", "linear", "none"]
DROP = ["cloud", "shadow", "other"]
SNOW = ["drop", "keep"]
# Name, label, default, smallest, largest.
SHARES = (
    ("REMOVE_FRACTION", "Share of the clear dates that goes at most", 0.05, 0.0, 1.0),
    ("LOESS_FRACTION", "Span of LOESS, share of the time axis", 0.07, 0.0, 1.0),
    ("WHITTAKER_LAMBDA", "Strength of Whittaker's smoother (0: found)", 0.0, 0.0, 1e8),
)
COUNTS = (
    ("MAX_GAP", "Longest gap that is filled (steps)", 36, 0, 100_000),
    ("WINDOW_DAYS", "Season of the outliers (days to either side)", 30, 1, 366),
    ("MIN_GROUP", "Least values of a season", 8, 1, 100_000),
    ("LOESS_ITERATIONS", "Robust iterations of LOESS", 3, 0, 20),
    ("SAVGOL_DAYS", "Window of Savitzky-Golay (days)", 60, 1, 100_000),
    ("SAVGOL_DEGREE", "Degree of Savitzky-Golay", 2, 0, 4),
    ("MAX_EXTRAPOLATION", "Steps filled beyond the first and last value", 6, 0, 100_000),
    ("DILATE", "Pixels around clouds and shadows that go too", 0, 0, 100),
)
SHOWN = ("REMOVE_FRACTION", "MAX_GAP", "LOESS_FRACTION", "WINDOW_DAYS", "MIN_GROUP")


class CleanClouds(CubeAlgorithm):
    ID = "cleanclouds"

    def add_options(self) -> None:
        self._add_choice("MODE", "Way of cleaning", MODES, "robust")
        self.add(
            QgsProcessingParameterString("DRIVER", "Variable that tells outliers", "s2_ndvi", optional=True)
        )
        self._add_number("REMOVE_FRACTION")
        self._add_number("MAX_GAP")
        self._add_choice("METHOD", "Filling and smoothing", METHODS, "loess")
        for name in ("LOESS_FRACTION", "WINDOW_DAYS", "MIN_GROUP"):
            self._add_number(name)
        for name, *_rest in (*SHARES, *COUNTS):
            if name not in SHOWN:
                self._add_number(name)
        self._add_choice("DROP", "Classes of the mask that go", DROP, DROP, multiple=True)
        self._add_choice("SNOW", "Snow", SNOW, "drop")
        for name, label, default in (
            ("YEARS", "Years that say what is usual", ""),
            ("VARIABLES", "Variables to clean", ""),
            ("MASK", "Variable of the mask", "s2_mask"),
        ):
            self.add(QgsProcessingParameterString(name, label, default, optional=True), advanced=True)
        pages = tr("Web pages") + " (*.html)"
        self.add(
            QgsProcessingParameterFileDestination(
                "REPORT", "Report", pages, optional=True, createByDefault=False
            )
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(
            QgsProcessingOutputNumber("REMOVED_PERCENT", tr("Outliers among the clear values, per cent"))
        )

    def options(self, parameters: Parameters) -> dict[str, Any]:
        text = parameters.text("VARIABLES")
        options: dict[str, Any] = {name.lower(): parameters.number(name) for name, *_rest in SHARES}
        options |= {name.lower(): parameters.integer(name) for name, *_rest in COUNTS}
        options |= {name.lower(): parameters.choice(name) for name in ("MODE", "METHOD", "SNOW")}
        options |= {
            "drop": parameters.choices("DROP"), "driver": parameters.text("DRIVER"), "years": parameters.text("YEARS")
        }  # fmt: skip
        return {
            "options": options,
            "variables": [each.strip() for each in text.split(",") if each.strip()],
            "mask": parameters.text("MASK"),
            "report": parameters.output("REPORT") if parameters.given("REPORT") else "",
        }

    def results(self, result: dict[str, Any]) -> dict[str, Any]:
        return {"REMOVED_PERCENT": result["removed_percent"], "REPORT": result["report"]}

    def _add_number(self, name: str) -> None:
        shares = {each[0]: each for each in SHARES}
        _name, label, default, low, high = shares.get(name) or {each[0]: each for each in COUNTS}[name]
        kind = TYPE.Double if name in shares else TYPE.Integer
        number = QgsProcessingParameterNumber(name, label, kind, default, True, low, high)
        self.add(number, advanced=name not in SHOWN)

    def _add_choice(
        self, name: str, label: str, known: list[str], default: Any, multiple: bool = False
    ) -> None:
        choice = QgsProcessingParameterEnum(
            name,
            label,
            known,
            allowMultiple=multiple,
            defaultValue=default,
            optional=True,
            usesStaticStrings=True,
        )
        self.add(choice, advanced=name in ("DROP", "SNOW"))
