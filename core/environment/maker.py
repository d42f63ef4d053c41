"""The steps of one set-up: recover, find a Python, build, check, tidy up."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Callable, Optional

from ..errors import EnvironmentProblem
from ..progress import Progress
from . import pip_install, uv
from .environment import COMPLETE, INCOMPLETE, MISSING, Environment, current, environments
from .interpreters import Interpreter, Search, named, probe, search
from .pip_errors import classify
from .plan import plan_setup
from .processes import module_command, python_command, run
from .requirements import HERE, Requirements
from .storage import aside, asides, discard, leftovers, ours

Log = Callable[[str], None]


class Maker:
    """One set-up, under the lock."""

    def __init__(
        self,
        base: Path,
        requirements: Requirements,
        environ: dict[str, str],
        progress: Progress,
        log: Log,
    ) -> None:
        self.base, self.requirements = base, requirements
        self.environ, self.progress, self.log = environ, progress, log

    def make(
        self, preferred: Optional[str], wheels: Optional[Path], recreate: bool, allow_uv: bool
    ) -> Environment:
        self.progress.update(0.0, "Looking for Python")
        if wheels is not None and not Path(wheels).is_dir():
            raise EnvironmentProblem(f"The folder of wheels {wheels} does not exist.", "Correct it.")
        self._recover()
        interpreter = None
        if preferred:
            interpreter = probe(named(preferred, self.environ), environ=self.environ)
            environment = Environment.of(self.base, interpreter, self.requirements)
        else:
            environment = current(self.base, self.requirements)
        if environment is not None and environment.state == COMPLETE and not recreate:
            self.log(f"The environment is there and complete: {environment.folder}")
            self.progress.update(1.0, "The environment is complete")
            return environment
        if interpreter is not None and not interpreter.complete:
            raise _incapable(interpreter)
        interpreter = interpreter or self._interpreter(allow_uv)
        environment = Environment.of(self.base, interpreter, self.requirements)
        for line in plan_setup(
            self.base,
            interpreter=interpreter,
            requirements=self.requirements,
            wheels=wheels,
            recreate=recreate,
        ).lines:
            self.log(line)
        self._replace(environment, interpreter, wheels)
        self._tidy(environment)
        self.progress.update(1.0, "The environment is complete")
        self.log(f"The environment is complete: {environment.folder}")
        return environment

    def _recover(self) -> None:
        """Clean up after a set-up that was killed, and put back what it had laid aside."""
        for path in leftovers(self.base):
            discard(path, self.log)
        for environment in environments(self.base, self.requirements.digest):
            state, reason = environment.assess()
            if state == INCOMPLETE:
                self.log(f"A half-made environment is removed ({reason}): {environment.folder}")
                if not discard(environment.folder, self.log):
                    raise EnvironmentProblem(
                        f"The half-made environment {environment.folder} could not be removed.",
                        "Close whatever uses it, or delete that folder, then run the set-up again.",
                    )
        for path in sorted(self.base.glob("py3*.old-*")):
            folder = path.with_name(path.name.rpartition(".old-")[0])
            if ours(path.name) and not folder.exists():
                self.log(f"The environment that was being replaced is put back: {folder}")
                os.rename(path, folder)
            elif ours(path.name):
                discard(path, self.log)

    def _interpreter(self, allow_uv: bool) -> Interpreter:
        found = search(environ=self.environ, further=uv.managed_pythons(self.base))
        capable = [item for item in found.found if item.complete]
        if capable:
            return capable[0]
        if not allow_uv:
            raise _no_python(found)
        for line in plan_setup(self.base, requirements=self.requirements, with_uv=True).lines:
            self.log(line)
        arguments = {"environ": self.environ, "log": self.log}
        binary = uv.get_uv(self.base, progress=self.progress.part(0.0, 0.03), **arguments)
        return uv.install_python(binary, self.base, progress=self.progress.part(0.03, 0.06), **arguments)

    def _replace(self, environment: Environment, interpreter: Interpreter, wheels: Optional[Path]) -> None:
        folder = environment.folder
        if environment.state != MISSING:
            try:
                aside(folder, "old")
            except OSError as error:
                raise EnvironmentProblem(
                    f"The environment {folder} is in use and cannot be replaced.",
                    "Let running jobs end, or restart QGIS, then run the set-up again.",
                ) from error
        try:
            self._build(environment, interpreter, wheels)
        except BaseException:
            if environment.state != COMPLETE:
                self.log(f"The half-made environment is removed: {folder}")
                discard(folder, self.log)
                for old in asides(folder, "old"):
                    if not folder.exists():
                        os.rename(old, folder)
                        self.log("The environment that was there before is put back.")
            raise
        for old in asides(folder, "old"):
            discard(old, self.log)

    def _build(self, environment: Environment, interpreter: Interpreter, wheels: Optional[Path]) -> None:
        self.progress.scratch(environment.folder)
        self._step(0.06, "Making the environment")
        # pip comes in a step of its own: venv would start it as a grandchild and swallow what it says.
        self._run(
            python_command(interpreter.path, "-m", "venv", "--without-pip", environment.folder),
            "The virtual environment could not be made",
        )
        self._step(0.07, "Putting pip into the environment")
        self._run(
            module_command(environment.python, "ensurepip", "--default-pip"),
            "pip could not be put into the environment",
            # A pipe that somebody reads stalls the grandchildren of ensurepip on Windows.
            held=sys.platform != "win32",
        )
        pip_install.install(
            environment.python,
            self.requirements,
            wheels=wheels,
            environ=self.environ,
            progress=self.progress.part(0.1, 0.9),
            log=self.log,
        )
        self.progress.update(0.9, "Checking the environment")
        packages = self._verify(environment)
        self.progress.update(0.97, "Checking the environment")
        pip_install.check(environment.python, self.environ, self.progress, self.log)
        environment.write_marker(interpreter, packages)

    def _verify(self, environment: Environment) -> dict[str, str]:
        wanted = sorted(self.requirements.wanted)
        command = python_command(environment.python, HERE / "_verify.py", *wanted)
        # The imports write the bytecode that pip has not written; -B would throw it away.
        command.remove("-B")
        answer = self._run(command, "The packages could not be imported", quiet=True)
        found = json.loads(next(line for line in reversed(answer) if line.startswith("{")))
        for name, error in found["failed"].items():
            self.log(f"{name}: {error}")
        if found["failed"]:
            name, error = next(iter(found["failed"].items()))
            hint = "The log of the set-up has more."
            if os.name == "nt" and "DLL load failed" in error:
                hint = "Install Microsoft's Visual C++ runtime (vc_redist.x64), then run the set-up again."
            raise EnvironmentProblem(
                f"The package {name} was installed but cannot be imported: {error}.", hint
            )
        return found["packages"]

    def _tidy(self, environment: Environment) -> None:
        """Remove what the new environment replaces: those of other locks and Pythons."""
        for other in environments(self.base, self.requirements.digest):
            if other.key != environment.key:
                self.log(f"The environment {other.key} is no longer needed and is removed.")
                discard(other.folder, self.log)

    def _step(self, start: float, text: str) -> None:
        self.progress.update(start, text)
        self.log(f"{text}.")

    def _run(self, command: list, doing: str, held: bool = False, quiet: bool = False) -> list[str]:
        try:
            ended = run(
                command,
                self.environ,
                cwd=self.base,
                progress=self.progress,
                on_line=None if quiet else self.log,
                timeout=900,
                held=held,
            )
        except (OSError, TimeoutError) as error:
            raise EnvironmentProblem(f"{doing}: {error}.", "Run the set-up again.") from error
        if ended.code != 0:
            if quiet:
                self.log("\n".join(ended.lines))
            raise classify(ended.lines, doing)
        return ended.lines


def _no_python(found: Search) -> EnvironmentProblem:
    if found.found:
        return _incapable(found.found[0])
    uv_hint = "or allow Minicuber to fetch one with uv"
    if sys.platform == "win32":
        how = f"Install Python 3.12 from python.org for yourself, {uv_hint}."
    elif sys.platform == "darwin":
        how = f"Install Python 3.12 from python.org or with Homebrew, {uv_hint}."
    else:
        how = f"Install Python 3.11 or newer with your system's packages, {uv_hint}."
    return EnvironmentProblem("No Python 3.11 to 3.14 was found on this computer.", how)


def _incapable(interpreter: Interpreter) -> EnvironmentProblem:
    minor = f"3.{interpreter.version[1]}"
    hint = (
        "Install it again with the modules venv and ensurepip, or allow Minicuber to fetch a Python with uv."
    )
    if interpreter.system == "linux":
        hint = (
            f"On Debian and Ubuntu install the package python{minor}-venv, "
            "or allow Minicuber to fetch a Python with uv."
        )
    return EnvironmentProblem(
        f"The Python {interpreter.version_text} at {interpreter.path} cannot make environments with pip.",
        hint,
    )
