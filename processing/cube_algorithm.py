"""What all algorithms share that make a cube of a cube: CUBE, LOAD, OUTPUT, and a job of the same name."""

from __future__ import annotations

from typing import Any

from .base import MinicuberAlgorithm
from .parameters import Parameters


class CubeAlgorithm(MinicuberAlgorithm):
    """A subclass adds its own parameters in `add_options`, and reads them in `options`."""

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_cube()
        self.add_options()
        self.add_load()
        self.add_cube_output()

    def add_options(self) -> None:
        """Add the parameters between CUBE and LOAD."""
        raise NotImplementedError

    def options(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters of the job beside `cube` and `output`. Raises `InputError`."""
        raise NotImplementedError

    def results(self, result: dict[str, Any]) -> dict[str, Any]:
        """The outputs beside OUTPUT, from the result of the job."""
        return {}

    def read(self, parameters: Parameters) -> None:
        self._load = parameters.flag("LOAD")
        self._order = {
            "cube": parameters.cube("CUBE"),
            **self.options(parameters),
            "output": parameters.output("OUTPUT"),
        }

    def work(self, feedback) -> dict[str, Any]:
        result = self.run_core(self.ID, self._order, feedback)
        self.show(result, self._load, feedback)
        return {"OUTPUT": result["output"], **self.results(result)}
