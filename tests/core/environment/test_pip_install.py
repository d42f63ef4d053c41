"""pip's failures in one sentence, each from what a real pip prints; and the user's pip settings."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading

import pytest
from minicuber.core.environment.pip_errors import classify
from minicuber.core.environment.pip_install import Steps, install, pip_environ, pip_settings
from minicuber.core.errors import EnvironmentProblem
from minicuber.core.progress import Progress


@pytest.fixture
def failing(made, toys, environ):
    """Run pip for real in the environment and return its problem and its output."""
    lines = []

    def run(requirements=None, wheels=None, **more):
        with pytest.raises(EnvironmentProblem) as caught:
            install(
                made[0].python,
                requirements or toys.requirements,
                wheels=wheels,
                environ={
                    **environ,
                    "PIP_RETRIES": "0",
                    "PIP_DEFAULT_TIMEOUT": "2",
                    "PIP_IGNORE_INSTALLED": "1",
                    **more,
                },
                progress=Progress(),
                log=lines.append,
            )
        return caught.value, lines

    return run


@pytest.fixture
def unmet(tmp_path, helpers):
    """A lock whose package is not installed yet."""
    folder = tmp_path / "unmet"
    folder.mkdir()
    return helpers.write_lock(tmp_path / "lock", [helpers.make_wheel(folder, "toy-absent")]), folder


def test_no_network(failing, unmet):
    """pip ends with "No matching distribution found", which sends people looking for a package."""
    problem, lines = failing(unmet[0], PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert problem.message == "The package index could not be reached."
    assert "proxy" in problem.hint
    assert any("toy-absent" in line for line in lines)


def test_an_index_that_does_not_answer(failing, unmet, helpers):
    """A firewall that swallows packets gives time-outs, not refusals."""
    release = threading.Event()

    class Handler(helpers.Quiet):
        def do_GET(self):
            release.wait(20)

    with helpers.serving(Handler) as port:
        url = f"http://127.0.0.1:{port}/simple"
        problem, _lines = failing(unmet[0], PIP_INDEX_URL=url, PIP_DEFAULT_TIMEOUT="1")
        release.set()
    assert problem.message == "The package index could not be reached."


def test_a_proxy_that_refuses(failing, unmet, helpers):
    """The cause is the proxy's password, not the network."""

    class Handler(helpers.Quiet):
        def do_CONNECT(self):
            self.answer(407, Proxy_Authenticate='Basic realm="x"')

    with helpers.serving(Handler) as port:
        proxy = f"http://anna:falsch@127.0.0.1:{port}"
        problem, _lines = failing(unmet[0], PIP_INDEX_URL="https://index.invalid/simple", HTTPS_PROXY=proxy)
    assert problem.message == "The proxy refused the connection to the package index."
    dead = "http://127.0.0.1:9"
    problem, _lines = failing(unmet[0], PIP_INDEX_URL="https://index.invalid/simple", HTTPS_PROXY=dead)
    assert problem.message == "The proxy refused the connection to the package index."


def test_a_certificate_that_is_not_trusted(failing, unmet, helpers, tmp_path):
    """A company's proxy that reads TLS: the usual case of a failing set-up at work."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    pair = tmp_path / "pair.pem"
    key = tmp_path / "key.pem"
    arguments = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([openssl, *arguments, "-keyout", key, "-out", pair], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair, key)
    with helpers.serving(helpers.Quiet, context) as port:
        problem, _lines = failing(unmet[0], PIP_INDEX_URL=f"https://localhost:{port}/simple")
    assert problem.message == "The certificate of the package index is not trusted."
    assert "PIP_CERT" in problem.hint


def test_a_bundle_that_does_not_exist(failing, unmet):
    """A REQUESTS_CA_BUNDLE left over from another program."""
    problem, _lines = failing(
        unmet[0], PIP_INDEX_URL="https://127.0.0.1:9/simple", PIP_CERT="/nowhere/ca.pem"
    )
    assert problem.message == "The file of certificate authorities /nowhere/ca.pem does not exist."


def test_an_index_that_wants_a_password(failing, unmet, helpers):
    """A company's index answers 401; --no-input must keep pip from waiting for a person."""

    class Handler(helpers.Quiet):
        def do_GET(self):
            self.answer(401, WWW_Authenticate='Basic realm="x"')

    with helpers.serving(Handler) as port:
        problem, _lines = failing(unmet[0], PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple")
    assert problem.message == "The package index refused access."


def test_a_package_with_another_checksum_is_refused(failing, tmp_path, helpers):
    """A tampered or re-built file must never be installed."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    requirements = helpers.write_lock(tmp_path / "lock", [helpers.make_wheel(folder, "toy-lied")], lie=True)
    problem, _lines = failing(requirements, folder)
    assert "checksum differs" in problem.message


def test_no_wheel_for_this_system_names_the_package(failing, tmp_path, helpers):
    """pip would go on to compile GDAL from source, for an hour, and fail."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = helpers.make_wheel(folder, "toy-far", tag="cp312-cp312-win32")
    problem, _lines = failing(helpers.write_lock(tmp_path / "lock", [wheel]), folder)
    assert "no ready-made package of toy-far==1.0 for this Python" in problem.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk became full",
        ),
        ("OSError: [WinError 112] There is not enough space on the disk", "disk became full"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "access was denied",
        ),
        ("PermissionError: [WinError 32] The process cannot access the file", "access was denied"),
        (
            "HINT: This error might have occurred since this system does not have Windows Long Path support",
            "too long",
        ),
        ("InvalidSchema: Missing dependencies for SOCKS support.", "proxy refused"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", "could not be reached"),
        ("pandas 3.1.1 requires numpy>=9, which is not installed.", "do not fit together: pandas 3.1.1"),
        ("ERROR: something nobody has seen", "could not be made: something nobody has seen."),
    ],
)
def test_what_cannot_be_provoked_here_is_known_by_its_words(line, said):
    """Windows' errors and a full disk, as they were reported."""
    problem = classify(["Collecting numpy", line, ""])
    assert said in problem.message
    assert problem.hint
    assert problem.message.endswith(".")


def test_a_silent_failure_still_gives_a_sentence():
    """An empty message box."""
    assert classify([]).message == "The environment could not be made: it printed nothing."


def test_settings_that_break_an_environment_are_shut_out(made, toys, environ, tmp_path):
    """ "user = true" or "target = ..." in pip.conf is common, and every plugin's set-up fails on it."""
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nuser = true\ntimeout = 7\nextra-index-url = https://a.example/simple\n https://b.example/simple\n"
        f"target = {tmp_path}/elsewhere\n[install]\ntimeout = 8\nno-binary = :all:\n[list]\ntimeout = 9\n"
    )
    mine = {**environ, "PIP_CONFIG_FILE": str(configuration), "PIP_CERT": "/ca.pem", "PIP_PREFIX": "/x"}
    settings = pip_settings(made[0].python, mine)
    settings.pop("no-cache-dir")
    assert settings["extra-index-url"].split() == ["https://a.example/simple", "https://b.example/simple"]
    assert {name: settings[name] for name in ("timeout", "cert")} == {"timeout": "8", "cert": "/ca.pem"}
    assert set(settings) == {"timeout", "cert", "extra-index-url"}
    result = pip_environ(mine, settings)
    assert {name for name in result if name.startswith("PIP_")} == {
        "PIP_TIMEOUT",
        "PIP_CERT",
        "PIP_EXTRA_INDEX_URL",
        "PIP_CONFIG_FILE",
        "PIP_ROOT_USER_ACTION",
    }
    install(
        made[0].python,
        toys.requirements,
        wheels=toys.folder,
        environ=mine,
        progress=Progress(),
        log=lambda line: None,
    )
    assert not (tmp_path / "elsewhere").exists()


def test_progress_is_read_from_pips_lines():
    """The names in front of versions, extras, markers and paths."""
    steps = Steps(4)
    assert steps.line("Collecting odc-geo==0.5.3 (from -r x (line 1))") == (
        0.0,
        "Downloading odc-geo (1 of 4)",
    )
    assert steps.line("  Downloading odc_geo-0.5.3-py3-none-any.whl (10 kB)") is None
    windows = "Processing c:\\wheels\\h5py-3.16.0-cp312-cp312-win_amd64.whl (from -r x)"
    assert steps.line(windows) == (pytest.approx(0.175), "Downloading h5py (2 of 4)")
    assert steps.installed(1) is None
    assert steps.line("Installing collected packages: a, b")[0] == pytest.approx(0.7)
    assert steps.installed(1) == (pytest.approx(0.85), "Installing (1 of 2)")
    assert steps.installed(9)[0] == pytest.approx(1.0)
