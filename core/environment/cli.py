"""The environment from a command line: what `python core/environment/__main__.py` does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from ..errors import MinicuberError
from ..progress import Progress
from .install import remove, set_up
from .plan import plan_setup
from .report import report
from .requirements import Requirements


class _Printed(Progress):
    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def show(self, fraction: float, text: str) -> None:
        if text != self._last:
            self._last = text
            print(f"{100 * fraction:3.0f} % {text}", file=sys.stderr, flush=True)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Set up, remove or report; a set-up prints the path of the core's Python as its last line of output."""
    parser = argparse.ArgumentParser(prog="minicuber-environment", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the environments")
    parser.add_argument("--extra", type=Path, help="further requirements to install, for development")
    parser.add_argument("--python", help="the Python to make the environment with")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install from, without any network")
    parser.add_argument("--recreate", action="store_true", help="make it anew even if it is complete")
    parser.add_argument("--allow-uv", action="store_true", help="let uv fetch a Python if none is found")
    parser.add_argument("--verbose", action="store_true", help="print the whole log to standard error")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="only say what a set-up would do")
    what.add_argument("--remove", action="store_true", help="remove all that was made")
    what.add_argument("--report", action="store_true", help="print a report for an issue")
    options = parser.parse_args(arguments)
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if options.verbose:
            print(line, file=sys.stderr, flush=True)

    try:
        if options.remove:
            for name in remove(options.base, log):
                print(name)
            return 0
        requirements = Requirements.read(extra=options.extra)
        if options.report:
            print(report(options.base, requirements=requirements), end="")
        elif options.plan:
            print("\n".join(plan_setup(options.base, requirements=requirements).lines))
        else:
            environment = set_up(
                options.base,
                preferred=options.python,
                wheels=options.wheels,
                recreate=options.recreate,
                allow_uv=options.allow_uv,
                progress=_Printed(),
                log=log,
                requirements=requirements,
            )
            print(environment.python)
    except MinicuberError as error:
        if lines and not options.verbose:
            print("\n".join(lines[-30:]), file=sys.stderr)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    return 0
