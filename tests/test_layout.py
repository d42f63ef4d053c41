"""The rules of the house: which folder may know which, and what the half that runs inside QGIS may use."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

TOP_LEVEL = {
    ".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "__init__.py",
    "core", "metadata.txt", "plugin", "processing", "pyproject.toml", "resources", "tests",
}  # fmt: skip
# What QGIS's own Python runs: 3.9 on macOS and older Windows installers, with nothing installed into it.
INSIDE_QGIS = (
    "__init__.py", "plugin", "processing", "core/__init__.py", "core/environment", "core/worker",
    "core/errors.py", "core/progress.py", "core/secrets.py",
)  # fmt: skip
# Run by the Python of the core alone, to look at what was installed there.
BY_THE_CORE = {"core/environment/_verify.py"}
# A script: it loads the root under the package's name before it imports from it.
SCRIPTS = {"core/worker/child.py"}


class Import(NamedTuple):
    """One import: `name` dotted, of our own package without its name ("core.grid"); `where` for messages."""

    name: str
    ours: bool
    in_function: bool
    where: str


def sources(*places: str) -> list[Path]:
    found = []
    for place in places:
        path = ROOT / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert found, f"no source in {places}"
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[Import]:
    """All imports of a file. `from . import a` gives both the package and `a`, which may be a module."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), path, False)


def _imports(node: ast.AST, path: Path, in_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        where = f"{relative(path)}:{getattr(child, 'lineno', 0)}"
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, False, in_function, where)
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", False, in_function, where)
        elif isinstance(child, ast.ImportFrom):
            folder = path.relative_to(ROOT).parts[: -child.level]
            base = [*folder, *(child.module or "").split(".")] if child.module else [*folder]
            for alias in child.names:
                yield Import(".".join([*base, alias.name]), True, in_function, where)
        inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, path, in_function or inner)


def offenders(places: tuple[str, ...], forbidden) -> list[str]:
    return [
        f"{item.where} imports {item.name}"
        for path in sources(*places)
        for item in imports(path)
        if forbidden(path, item)
    ]


def below(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_a_new_top_level_entry_is_meant():
    """Everything at the root goes into the plugin's folder in the user's profile unless it is left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        pytest.skip("this is no checkout of git")
    names = {name for name in ended.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {name.partition("/")[0] for name in names} <= TOP_LEVEL


def test_core_knows_nothing_of_qgis():
    """The core must import where no QGIS is: in the child, in a notebook, on a Dask worker."""
    foreign = ("qgis", "PyQt5", "PyQt6", "PySide2", "PySide6", "osgeo", "gdal", "ogr", "osr", "processing")
    assert offenders(("core",), lambda path, item: not item.ours and below(item.name, *foreign)) == []


def test_arrows_point_from_plugin_to_processing_to_core():
    def backwards(path: Path, item: Import) -> bool:
        if relative(path).startswith("core/"):
            return item.ours and not below(item.name, "core") and item.name != "__version__"
        return item.ours and below(item.name, "plugin")

    assert offenders(("core", "processing"), backwards) == []


def test_nobody_in_the_core_knows_the_worker():
    """A job that knows who runs it cannot run in a script, a notebook or a Dask task."""

    def knows(path: Path, item: Import) -> bool:
        inside = relative(path).startswith("core/worker/") or relative(path) == "core/jobs.py"
        return not inside and item.ours and below(item.name, "core.worker")

    assert offenders(("core",), knows) == []


def test_grid_and_timeline_do_no_input_or_output():
    """Pure geometry and time: of our own they may use errors alone."""

    def impure(path: Path, item: Import) -> bool:
        library = ("rasterio", "requests", "pystac", "pystac_client", "h5netcdf", "h5py", "fsspec", "socket")
        ours = item.ours and not below(item.name, "core.errors", "core.grid", "core.timeline")
        return ours or (not item.ours and below(item.name, *library))

    assert offenders(("core/grid.py", "core/timeline.py"), impure) == []


def test_importing_the_package_imports_nothing_else():
    """QGIS and pytest import the root's __init__ on their own terms; it must not pull in Qt or the core."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))] == []
    assert [item.name for item in imports(ROOT / "__init__.py")] == ["plugin.plugin.MinicuberPlugin"]


@pytest.mark.parametrize("path", sources(*INSIDE_QGIS), ids=relative)
def test_syntax_newer_than_python_39_keeps_the_plugin_from_loading(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_functions_newer_than_python_39_fail_when_they_are_called():
    """What parses may still be missing: `zip(strict=)`, `removesuffix` is 3.9, `itertools.pairwise` 3.10."""
    paths = [str(path) for path in sources(*INSIDE_QGIS) if relative(path) not in BY_THE_CORE]
    options = ["--target=3.9-", "--violations", "--no-tips", "--quiet"]
    command = [sys.executable, "-I", "-c", "from vermin import main; main()", *options, *paths]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named" in ended.stderr:
        pytest.fail("vermin is missing from the environment of the tests: run make test")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", sources(*INSIDE_QGIS), ids=relative)
def test_a_type_union_with_a_bar_is_not_evaluated(path):
    """`int | None` fails on Python 3.9 wherever it is more than an annotation that nobody evaluates."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    annotations = [a for node in ast.walk(tree) for a in _annotations(node)]
    inside = {id(inner) for annotation in annotations for inner in ast.walk(annotation)}
    postponed = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
        if (not postponed if id(node) in inside else _is_type(node.left) or _is_type(node.right))
    ]
    assert found == []


def _annotations(node: ast.AST) -> list[ast.expr]:
    found = [getattr(node, name, None) for name in ("annotation", "returns")]
    return [annotation for annotation in found if isinstance(annotation, ast.expr)]


def _is_type(node: ast.expr) -> bool:
    plain = (
        "int",
        "str",
        "float",
        "bool",
        "bytes",
        "list",
        "dict",
        "tuple",
        "set",
        "Path",
        "Any",
        "Callable",
    )
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    return (isinstance(node, ast.Constant) and node.value is None) or ast.unparse(node) in plain


def test_a_third_party_import_keeps_the_plugin_from_loading():
    """Nothing is ever installed into QGIS's Python, so that only its own packages may be used there."""
    known = (*sys.stdlib_module_names, "winreg", "msvcrt", "qgis", "osgeo")  # GDAL is a part of QGIS

    def foreign(path: Path, item: Import) -> bool:
        if (
            item.ours
            or below(item.name, *known)
            or (relative(path) in SCRIPTS and below(item.name, "minicuber"))
        ):
            return False
        # QGIS's package of this name starts its algorithms when it is imported: too early at module level.
        return not (item.in_function and below(item.name, "processing"))

    assert offenders(INSIDE_QGIS, foreign) == []


def test_only_relative_imports_inside_the_package():
    """The folder has the name of the checkout, and `processing` is QGIS's: absolute names lead elsewhere."""

    def absolute(path: Path, item: Import) -> bool:
        if item.ours or relative(path) in SCRIPTS:
            return False
        return below(item.name, "minicuber", "core", "plugin", "resources", "main")

    assert offenders(("__init__.py", "core", "plugin", "processing"), absolute) == []


def test_the_environment_of_the_process_is_not_changed():
    """A variable set here would reach QGIS itself, or other threads of the core. The child may: it is ours."""
    found = []
    for path in sources("__init__.py", "core", "plugin", "processing"):
        if relative(path) == "core/worker/child.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if _changes_environ(node):
                found.append(f"{relative(path)}:{node.lineno}")
    assert found == []


def _changes_environ(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return ast.unparse(node.value) == "os.environ"
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in ("environ", "putenv") for alias in node.names)
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.target) == "os.environ"
    if isinstance(node, ast.Call):
        changing = ("update", "setdefault", "pop", "popitem", "clear")
        names = [f"os.environ.{name}" for name in changing]
        return ast.unparse(node.func) in [*names, "os.putenv", "os.unsetenv"]
    return False
