"""Entry from a command line, also as a plain script in a clean clone where nothing is installed."""

from __future__ import annotations

import sys


def _package() -> str:
    """Return the name of this package, loading the root as `minicuber` if we run as a script."""
    if __package__:
        return __package__
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    here = Path(__file__).resolve().parent
    # Our module names must not shadow anybody's.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    root = here.parents[1]
    spec = spec_from_file_location("minicuber", root / "__init__.py", submodule_search_locations=[str(root)])
    module = module_from_spec(spec)
    sys.modules["minicuber"] = module
    spec.loader.exec_module(module)
    return "minicuber.core.environment"


if __name__ == "__main__":
    from importlib import import_module

    sys.exit(import_module(f"{_package()}.cli").main())
