"""Which Python runs the core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from minicuber.core.environment.lookup import VARIABLE, find_core_python, own_python
from minicuber.core.environment.requirements import Requirements, at_least
from minicuber.core.errors import EnvironmentProblem


def distribution(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_the_order_is_variable_setting_environment(made, toys, python, tmp_path, monkeypatch):
    """The contract's order; a process here would freeze QGIS."""
    environment, _lines = made
    other = tmp_path / "python3"
    other.symlink_to(python)
    monkeypatch.setattr(subprocess, "Popen", None)
    arguments = {"base": environment.base, "requirements": toys.requirements}
    found = find_core_python(str(other), environ={VARIABLE: str(python)}, **arguments)
    assert (found.path, found.origin) == (python, "variable")
    found = find_core_python(str(other), environ={}, **arguments)
    assert (found.path, found.origin) == (other, "setting")
    found = find_core_python(" ", environ={VARIABLE: ""}, **arguments)
    assert (found.path, found.origin) == (environment.python, "environment")


@pytest.mark.parametrize("origin", ["variable", "setting"])
def test_a_given_python_that_is_none_is_an_error_that_names_it(made, toys, tmp_path, origin):
    """Skipped silently, a typing error runs every job in another Python than the user believes."""
    plain = tmp_path / "readme.txt"
    plain.write_text("")
    for value, said in (
        (tmp_path / "nowhere/python3", "does not exist"),
        (plain, "not an executable"),
        (tmp_path, "not"),
    ):
        environ = {VARIABLE: str(value)} if origin == "variable" else {}
        with pytest.raises(EnvironmentProblem, match=said) as caught:
            find_core_python(
                str(value) if origin == "setting" else None, made[0].base, environ, toys.requirements
            )
        assert str(value) in caught.value.message
        assert (VARIABLE in caught.value.message) == (origin == "variable")


def test_without_any_the_one_sentence_says_what_to_run(tmp_path, toys):
    """A user who sees "No module named rasterio" does not know what to do."""
    with pytest.raises(EnvironmentProblem) as caught:
        find_core_python(None, tmp_path / "none", {}, toys.requirements)
    assert "minicuber:setupenvironment" in caught.value.hint
    assert "Minicuber > Set up environment" in caught.value.hint


def test_a_half_made_environment_is_said(tmp_path, toys):
    """ "None yet" would be wrong: the user has waited for it."""
    (tmp_path / "py312-linux-x86_64-0123456789ab/bin").mkdir(parents=True)
    with pytest.raises(EnvironmentProblem, match="incomplete: its set-up did not finish"):
        find_core_python(None, tmp_path, {}, toys.requirements)


def test_qgis_own_python_needs_every_package(tmp_path, toys):
    """One that lacks a package, or has an old one, fails in the middle of a job."""
    folders = [str(tmp_path)]
    wanted = Requirements.read(toys.requirements.lock)
    assert own_python(wanted, folders=folders, version=(3, 12)) == (None, "it has no toy-first")
    distribution(tmp_path, "toy-first", "1.2")
    distribution(tmp_path, "toy-second", "0.9")
    path, reason = own_python(wanted, folders=folders, version=(3, 12))
    assert (path, reason) == (None, "its toy-second is 0.9, older than 1.0")
    (tmp_path / "toy_second-0.9.dist-info").rename(tmp_path / "toy_second-1.0.dist-info")
    (tmp_path / "toy_second-1.0.dist-info/METADATA").write_text("Name: toy-second\nVersion: 1.0\n")
    assert own_python(wanted, folders=folders, version=(3, 12)) == (Path(sys.executable), "")
    assert own_python(wanted, folders=folders, version=(3, 9)) == (None, "it is Python 3.9")
    path, reason = own_python(wanted, "/opt/qgis/qgis-bin.exe", str(tmp_path), folders, (3, 12))
    assert (path, reason) == (None, "its binary was not found")


def test_packages_that_the_child_will_not_see_do_not_count(tmp_path, toys, monkeypatch):
    """QGIS has plugin folders and the user's site on its path; a child with -I has not."""
    distribution(tmp_path, "toy-first", "1.2")
    distribution(tmp_path, "toy-second", "1.2")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert own_python(toys.requirements, version=(3, 12))[1] == "it has no toy-first"


@pytest.mark.parametrize(
    ("version", "minimum", "enough"),
    [("2.10", "2.9", True), ("1.4.3", "1.4.3", True), ("2.0.0", "2", True), ("1.4.3.post1", "1.4.4", False)],
)
def test_versions_are_compared_as_numbers(version, minimum, enough):
    """As text, 2.10 is older than 2.9."""
    assert at_least(version, minimum) is enough
