"""The environment made by the algorithm itself, from the lock, in a profile with an awkward name."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request

import pytest
from helpers import children_of, make_profile, results, run, start, wait_until


def index_answers() -> bool:
    command = ["python3", "-m", "pip", "download", "--no-deps", "-q", "-d", os.devnull, "six==0"]
    if os.environ.get("PIP_INDEX_URL"):
        return True
    try:
        urllib.request.urlopen("https://pypi.org/simple/six/", timeout=10).close()
    except OSError:
        return (
            subprocess.run(command, capture_output=True, check=False, timeout=60).stderr.find(
                b"from versions: 0"
            )
            >= 0
        )
    return True


@pytest.fixture(scope="module")
def awkward(provider, tmp_path_factory):
    profile = make_profile(tmp_path_factory.mktemp("pröfil mit leerzeichen"))
    assert run(profile, "plugins", "enable", "minicuber")[0] == 0
    return profile


@pytest.mark.network
def test_interrupted_set_up_is_remade_and_the_report_names_it_all(awkward, tmp_path):
    if not index_answers():
        pytest.skip("the package index does not answer")
    # Killed in the middle, with all that it started ...
    process = start(awkward, "run", "minicuber:setupenvironment", MINICUBER_PYTHON=None)
    environments = awkward / "profiles/default/minicuber/environments"
    assert wait_until(lambda: any(environments.glob("py3*/pyvenv.cfg")), 60)
    assert wait_until(lambda: children_of(process.pid), 30)
    children = children_of(process.pid)
    process.kill()
    process.communicate()
    assert wait_until(lambda: not any(os.path.exists(f"/proc/{child}/exe") for child in children), 5)
    # ... the half-made one is not taken for whole ...
    code, text = run(awkward, "run", "minicuber:loadminicube", "--", "CUBE=x.nc", MINICUBER_PYTHON=None)
    assert code == 1
    assert "minicuber:setupenvironment" in text
    # ... and the next run makes it whole.
    code, text = run(awkward, "run", "minicuber:setupenvironment", MINICUBER_PYTHON=None)
    assert code == 0, text
    folder = results(text)["ENVIRONMENT"]
    assert folder.startswith(str(environments))
    for word in ("rasterio", "xarray", "QGIS", "Python"):
        assert word in text
    # It works, and a second run has nothing to do.
    code, text = run(
        awkward, "run", "minicuber:createdemodata", "--", f"OUTPUT={tmp_path / 'demo'}", MINICUBER_PYTHON=None
    )
    assert code == 0, text
    code, again = run(awkward, "run", "minicuber:setupenvironment", MINICUBER_PYTHON=None)
    assert code == 0
    assert results(again)["ENVIRONMENT"] == folder
    before_the_report = again.split("\nSystem: ")[0]
    assert "Collecting" not in before_the_report
    code, text = run(awkward, "run", "minicuber:setupenvironment", "--", "REMOVE=true", MINICUBER_PYTHON=None)
    assert code == 0
    assert not any(environments.glob("py3*"))


@pytest.mark.network
def test_cancel_of_the_set_up_leaves_no_half_made_environment(awkward):
    if not index_answers():
        pytest.skip("the package index does not answer")
    process = start(awkward, "run", "minicuber:setupenvironment", MINICUBER_PYTHON=None)
    environments = awkward / "profiles/default/minicuber/environments"
    assert wait_until(lambda: any(environments.glob("py3*/pyvenv.cfg")), 60)
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Cancelled" in text
    assert not any(environments.glob("py3*"))


def test_python_that_does_not_serve_is_named(awkward, tmp_path):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    fake.chmod(0o755)
    code, text = run(
        awkward, "run", "minicuber:setupenvironment", "--", f"PYTHON={fake}", MINICUBER_PYTHON=None
    )
    assert code == 1
    assert str(fake) in text
    assert "Traceback" not in text
