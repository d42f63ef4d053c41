"""Imports the half that runs inside QGIS with Qt 6, and looks up every name of Qt that it uses there.

QGIS 4 stands on Qt 6, whose Python bindings know enums by their scoped names alone (`Qt.DateFormat.ISODate`).
Debian has no such QGIS yet. So PyQt6 and a `qgis` package of stand-ins take its place, in an environment of
their own: `python tests/matrix/qt6.py FOLDER` makes it in FOLDER and runs this file again in it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests" / "requirements-qt6.txt"
FOLDERS = ("plugin", "processing")
# What the qgis.PyQt of a QGIS on Qt 6 keeps in the place where Qt 5 has it.
KEPT = {"QtWidgets": {"QtGui": ("QAction", "QActionGroup", "QShortcut")}}


def main(folder: Path) -> int:
    python = _environment(folder)
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([python, "-I", "-B", __file__, "--check"], env=variables, check=False).returncode


def _environment(folder: Path) -> Path:
    python, stamp = folder / "bin" / "python", folder / "complete"
    key = f"{sys.version} {hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}\n"
    if not stamp.is_file() or stamp.read_text() != key:
        print("Making an environment with PyQt6 ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", REQUIREMENTS]
        subprocess.run(pip, check=True)
        stamp.write_text(key)
    return python


def check() -> int:
    _install_stand_ins()
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    faults = [fault for file in files for fault in unresolved(file)]
    _load_package()
    for file in files:
        name = ".".join(["minicuber", *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  (whatever keeps a module from loading is the finding)
            faults.append(f"{file.relative_to(ROOT)} cannot be imported: {type(error).__name__}: {error}")
    for fault in faults:
        print(fault, file=sys.stderr)
    qt = importlib.import_module("PyQt6.QtCore").PYQT_VERSION_STR
    print(f"Qt 6 (PyQt {qt}): {len(files)} modules, {len(faults)} faults")
    return 1 if faults or not files else 0


def unresolved(file: Path) -> list[str]:
    """The names of Qt in a file that PyQt6 does not have: attribute chains from what qgis.PyQt gave."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    known: dict[str, object] = {}
    faults = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").startswith("qgis.PyQt")
        ):
            module = importlib.import_module(node.module)
            for alias in node.names:
                try:
                    found = getattr(module, alias.name)
                except AttributeError:
                    faults.append(
                        f"{file.relative_to(ROOT)}:{node.lineno}: {node.module} has no {alias.name}"
                    )
                else:
                    known[alias.asname or alias.name] = found
        elif isinstance(node, ast.Attribute) and node.attr == "exec_":
            faults.append(f"{file.relative_to(ROOT)}:{node.lineno}: Qt 6 has exec, not exec_")
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain = _chain(node)
            if chain and chain[0] in known and not _resolves(known[chain[0]], chain[1:]):
                faults.append(f"{file.relative_to(ROOT)}:{node.lineno}: Qt 6 has no {'.'.join(chain)}")
    return faults


def _chain(node: ast.expr) -> list[str]:
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def _resolves(found: object, names: list[str]) -> bool:
    for name in names:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


class _Anything(type):
    """A class that has every attribute: each is such a class again."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Anything(name, (), {})
        setattr(cls, name, made)
        return made

    def __or__(cls, other: object) -> type:
        return cls

    __ror__ = __or__


def _install_stand_ins() -> None:
    """Put `qgis` and `osgeo`, which QGIS brings, into sys.modules: `qgis.PyQt` is PyQt6 as QGIS hands it on, all
    else has every name."""
    qgis, pyqt, osgeo = types.ModuleType("qgis"), types.ModuleType("qgis.PyQt"), types.ModuleType("osgeo")
    sys.modules.update({"qgis": qgis, "qgis.PyQt": pyqt, "osgeo": osgeo})
    qgis.PyQt, qgis.__path__, pyqt.__path__ = pyqt, [], []
    for name in ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtSvg", "QtXml"):
        real = importlib.import_module(f"PyQt6.{name}")
        module = types.ModuleType(f"qgis.PyQt.{name}")
        module.__dict__.update({key: value for key, value in vars(real).items() if not key.startswith("__")})
        for other, names in KEPT.get(name, {}).items():
            for kept in names:
                setattr(module, kept, getattr(importlib.import_module(f"PyQt6.{other}"), kept))
        sys.modules[module.__name__] = module
        setattr(pyqt, name, module)
    for name in ("core", "gui", "utils", "analysis"):
        module = types.ModuleType(f"qgis.{name}")
        module.__getattr__ = lambda attribute, module=module: _stand_in(module, attribute)
        sys.modules[module.__name__] = module
        setattr(qgis, name, module)
    osgeo.__getattr__ = lambda attribute: _stand_in(osgeo, attribute)


def _stand_in(module: types.ModuleType, name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    made = _Anything(name, (), {})
    setattr(module, name, made)
    return made


def _load_package() -> None:
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["minicuber"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.exit(check() if sys.argv[1:] == ["--check"] else main(Path(sys.argv[1]).absolute()))
