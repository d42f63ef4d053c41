"""The zip for the plugin repository against the repository's rules, and the same code as a Python package."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 25_000_000  # bytes that the repository accepts
PICTURES = (".png", ".jpg", ".gif", ".ico", ".qm")


def tree_of_checkout(scratch: Path) -> tuple[str, dict[str, str]]:
    """The checkout as it is, uncommitted changes included, as a tree of git: its id, and the variables to read it.

    An index and a store of objects of its own keep the checkout's untouched.
    """
    ended = subprocess.run(
        ["git", "rev-parse", "--git-path", "objects"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        pytest.skip("this is no checkout of git")
    objects = scratch / "objects"
    objects.mkdir()
    variables = {
        **os.environ,
        "GIT_INDEX_FILE": str(scratch / "index"),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((ROOT / ended.stdout.strip()).resolve()),
    }
    subprocess.run(["git", "read-tree", "HEAD"], cwd=ROOT, env=variables, check=True)
    subprocess.run(["git", "add", "-A"], cwd=ROOT, env=variables, check=True, capture_output=True)
    tree = subprocess.run(
        ["git", "write-tree"], cwd=ROOT, env=variables, check=True, capture_output=True, text=True
    )
    return tree.stdout.strip(), variables


def make_zip(scratch: Path) -> Path:
    """What `make package` would make if all were committed."""
    tree, variables = tree_of_checkout(scratch)
    path = scratch / "minicuber.zip"
    command = ["git", "archive", "--format=zip", "--prefix=minicuber/", "-o", str(path), tree]
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
    return path


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The zip, unpacked: its one folder."""
    scratch = tmp_path_factory.mktemp("package")
    path = make_zip(scratch)
    assert path.stat().st_size <= LARGEST
    with zipfile.ZipFile(path) as archive:
        archive.extractall(scratch / "unpacked")
    assert [entry.name for entry in (scratch / "unpacked").iterdir()] == ["minicuber"]
    return scratch / "unpacked" / "minicuber"


@pytest.fixture(scope="module")
def files(package) -> list[str]:
    return sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def metadata(package) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read_string((package / "metadata.txt").read_text(encoding="utf-8"))
    return dict(parser["general"])


def python_files(package: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_a_missing_key_of_metadata_is_refused(metadata):
    needed = (
        "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository",
        "homepage",
    )  # fmt: skip
    assert [key for key in needed if not metadata.get(key, "").strip()] == []
    for key in ("tracker", "repository", "homepage"):
        assert metadata[key].startswith("https://")
    assert "@" in metadata["email"]


def test_the_user_is_told_that_packages_are_downloaded_on_request(metadata):
    """Reviewers refuse plugins that install things unasked and unsaid."""
    about = metadata["about"].lower()
    assert "download" in about
    assert "on your request" in about
    assert "python package index" in about


def test_the_version_is_the_same_everywhere(package, metadata):
    assignment = next(
        node
        for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    assert ast.literal_eval(assignment.value) == metadata["version"]
    changes = (package / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(metadata['version'])}\b", changes, re.MULTILINE)


def test_qgis_4_is_not_shut_out(metadata):
    """Without it QGIS takes x.99 of the minimum's major version; supportsQt6 alone has no effect."""
    assert metadata["qgisMaximumVersion"] == "4.99"
    assert metadata["qgisMinimumVersion"] == "3.22"


def test_the_algorithms_are_offered_to_qgis_process(package, metadata):
    """`hasProcessingProvider` without `initProcessing` leaves a plugin out of qgis_process."""
    assert metadata["hasProcessingProvider"] == "yes"
    factory = (package / "__init__.py").read_text(encoding="utf-8")
    made = re.search(r"from \.([\w.]+) import (\w+)", factory)
    module = package / f"{made[1].replace('.', '/')}.py"
    classes = {
        node.name: [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    assert {"initProcessing", "initGui", "unload"} <= set(classes[made[2]])


def test_nothing_of_the_workshop_is_in_the_zip(files):
    """What is not the plugin would lie in every user's profile."""
    tops = {name.partition("/")[0] for name in files}
    assert tops & {"tests", "Makefile", "pyproject.toml", "build", "dist"} == set()
    assert [name for name in files if any(part.startswith(".") for part in PurePosixPath(name).parts)] == []


def test_no_binaries_and_no_bytecode(package, files):
    """The repository refuses them."""
    assert [name for name in files if name.endswith(".pyc") or "__pycache__" in name] == []
    binary = [
        name
        for name in files
        if not name.endswith(PICTURES)
        and (b"\0" in (package / name).read_bytes() or not is_text(package / name))
    ]
    assert binary == []


def is_text(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_the_licence_the_icon_and_the_lock_are_inside(package, files, metadata):
    assert {"LICENSE", "metadata.txt", "CHANGELOG.md", metadata["icon"]} <= set(files)
    assert "GNU GENERAL PUBLIC LICENSE" in (package / "LICENSE").read_text(encoding="utf-8")
    # Without the lock nothing could be installed by checksum.
    lock = package / "core/environment/requirements.lock"
    assert "--hash=sha256:" in lock.read_text(encoding="utf-8")
    assert "core/environment/requirements.in" in files


FORBIDDEN_CALLS = {
    "eval", "exec", "os.system", "os.popen", "yaml.load", "ssl._create_unverified_context",
    "ssl._create_stdlib_context", "marshal.loads", "marshal.load",
}  # fmt: skip
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "telnetlib"}
SECRET = re.compile(r"(?i)password|passwd|secret|token|api_?key|credential")


def risky(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What the repository's scan would stop: line and what it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FORBIDDEN_CALLS:
                yield node.lineno, name
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if (keyword.arg, value) in (("shell", True), ("verify", False), ("check_hostname", False)):
                    yield node.lineno, f"{keyword.arg}={value}"
                if keyword.arg == "allow_pickle" and value is not False:
                    yield node.lineno, "allow_pickle"
        elif isinstance(node, ast.Attribute) and node.attr in ("extractall", "CERT_NONE"):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Import):
            yield from (
                (node.lineno, n.name) for n in node.names if n.name.split(".")[0] in FORBIDDEN_MODULES
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            yield node.lineno, node.module
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from _secrets(node)


def _secrets(node: ast.Assign | ast.AnnAssign) -> Iterator[tuple[int, str]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    text = getattr(node.value, "value", None)
    # A name like TOKEN_VARIABLE holds the name of a variable: capitals and underscores are no secret.
    if isinstance(text, str) and len(text) >= 8 and not re.fullmatch(r"[A-Z_]+|[a-z_/. -]+", text):
        yield from ((node.lineno, ast.unparse(t)) for t in targets if SECRET.search(ast.unparse(t)))


def test_the_scan_for_risky_code_finds_nothing(package):
    found = [f"{name}:{line}: {what}" for name, tree in python_files(package) for line, what in risky(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')", "exec('1')", "import pickle", "from pickle import loads", "subprocess.run('a', shell=True)",
        "tarfile.open('a').extractall()", "requests.get('a', verify=False)", "ssl._create_unverified_context()",
        "yaml.load('a')", "TOKEN = 'a8F3kd92mfa01'", "np.load('a', allow_pickle=True)", "c.verify_mode = ssl.CERT_NONE",
    ],
)  # fmt: skip
def test_the_scan_is_not_blind(code):
    assert list(risky(ast.parse(code)))


def test_the_python_package_forgets_no_module_and_no_data(tmp_path):
    """`packages` in pyproject.toml is a list: a new folder that it lacks is missing after pip install."""
    _, variables = tree_of_checkout(tmp_path)
    source, site = tmp_path / "source", tmp_path / "site"
    checkout = ["git", "checkout-index", "--all", f"--prefix={source}/"]
    subprocess.run(checkout, cwd=ROOT, env=variables, check=True)
    pip = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
    ]
    options = ["--no-deps", "--no-build-isolation", "--no-compile", "--target", str(site), str(source)]
    ended = subprocess.run([*pip, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    def contents(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    missing = {name for name in contents(source / "core") if not name.endswith(".md")} - contents(
        site / "minicuber" / "core"
    )
    assert missing == set()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import minicuber.core, minicuber.core.jobs\n"
        "assert minicuber.__file__.startswith(sys.path[0]), minicuber.__file__\n"
        "print(minicuber.__version__, [name for name in sys.modules if name.split('.')[0] in ('qgis', 'PyQt5')])"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split()[1] == "[]"
