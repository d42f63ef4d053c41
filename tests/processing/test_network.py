"""QGIS's proxy and certificates reach the child, and their secrets reach nobody else."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import make_profile, run
from minicuber.processing import network
from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy, QSslCertificate

# A certificate authority made for this test, valid until 2126; its key was thrown away.
AUTHORITY = Path(__file__).with_name("authority.pem")


class Proxy:
    """An HTTP proxy that answers for one host from a folder, and keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                proxy.asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
                file = folder / urlsplit(self.path).path.lstrip("/")
                found = file.is_file() and self.path.startswith("http://catalog.test/")
                data = file.read_bytes() if found else b""
                self.send_response(200 if found else 404)
                self.send_header(
                    "Content-Type", "application/json" if file.suffix == ".json" else "image/tiff"
                )
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def proxy(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    made = Proxy(served)
    yield made, served
    made.server.shutdown()
    made.server.server_close()


def test_catalog_and_images_come_through_qgis_proxy_and_its_password_is_nowhere(demo, proxy, tmp_path):
    server, served = proxy
    root = Path(demo["CATALOG"]).parent
    items = [
        f
        for f in json.loads((root / "items.json").read_text())["features"]
        if f["properties"]["datetime"][:10] in ("2021-06-01", "2021-06-06")
    ]
    assert items
    for item in items:
        (served / item["id"]).mkdir()
        for name in ("red", "nir"):
            source = root / item["assets"][name]["href"]
            (served / item["id"] / source.name).write_bytes(source.read_bytes())
            item["assets"][name]["href"] = f"{item['id']}/{source.name}"
        item["assets"] = {name: item["assets"][name] for name in ("red", "nir")}
    (served / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))

    profile = make_profile(tmp_path / "profile")
    ini = profile / "profiles/default/QGIS/QGIS3.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text(
        "[PythonPlugins]\nminicuber=true\n[proxy]\nproxyEnabled=true\nproxyType=HttpProxy\nproxyHost=127.0.0.1\n"
        f"proxyPort={server.server.server_port}\nproxyUser=anna\nproxyPassword=gehe:im@x\n"
    )
    code, text = run(
        profile, "run", "minicuber:buildminicube", "--", f"EXTENT={demo['EXTENT']}", "START=2021-06-01",
        "END=2021-06-30", "CATALOG=http://catalog.test/items.json", "S2_BANDS=B04,B08", f"OUTPUT={tmp_path / 'a.nc'}",
        HTTP_PROXY=None, HTTPS_PROXY=None, http_proxy=None, https_proxy=None, NO_PROXY=None, no_proxy=None,
    )  # fmt: skip
    assert code == 0, text
    paths = {path for path, _ in server.asked}
    assert "http://catalog.test/items.json" in paths
    assert any(path.endswith("B04.tif") for path in paths)
    login = "Basic " + base64.b64encode(b"anna:gehe:im@x").decode()
    assert {word for _, word in server.asked if word} == {login}
    for secret in ("gehe", "gehe%3Aim%40x"):
        assert secret not in text
        assert secret.encode() not in (tmp_path / "a.nc").read_bytes()


@pytest.fixture
def settings(qgis_app):
    yield QgsSettings()
    QgsSettings().remove("proxy")
    QgsNetworkAccessManager.instance().setFallbackProxyAndExcludes(QNetworkProxy(), [], [])


def test_no_proxy_in_qgis_sets_none(settings):
    settings.setValue("proxy/proxyEnabled", False)
    assert not [name for name in network.network_environment() if "PROXY" in name.upper()]


def test_excluded_hosts_and_this_machine_are_asked_directly(settings):
    settings.setValue("proxy/proxyEnabled", True)
    proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example.org", 8080, "anna", "a b/c")
    QgsNetworkAccessManager.instance().setFallbackProxyAndExcludes(
        proxy, ["https://intern.example.org/x"], ["http://data.example.org:81/"]
    )
    found = network.network_environment()
    assert found["HTTPS_PROXY"] == "http://anna:a%20b%2Fc@proxy.example.org:8080"
    hosts = found["NO_PROXY"].split(",")
    assert {"localhost", "127.0.0.1", "intern.example.org", "data.example.org"} <= set(hosts)


def test_authority_that_the_user_added_is_in_the_bundle(qgis_app, monkeypatch, tmp_path):
    manager = QgsApplication.authManager()
    (authority,) = QSslCertificate.fromPath(str(AUTHORITY))

    class WithAuthority:
        """QGIS's manager, as if the user had added the authority: its database needs a master password."""

        def isDisabled(self):
            return False

        def databaseCAs(self):
            return [authority]

        def extraFileCAs(self):
            return []

        def trustedCaCertsPemText(self):
            return bytes(manager.trustedCaCertsPemText()) + bytes(authority.toPem())

    monkeypatch.setattr(QgsApplication, "authManager", staticmethod(WithAuthority))
    found = network.network_environment()
    assert {found[name] for name in network.CA_VARIABLES} == {found["SSL_CERT_FILE"]}
    assert AUTHORITY.read_bytes().strip() in Path(found["SSL_CERT_FILE"]).read_bytes()


def test_without_added_authorities_the_childs_own_are_used(qgis_app):
    if QgsApplication.authManager().databaseCAs() or QgsApplication.authManager().extraFileCAs():
        pytest.skip("this QGIS profile has authorities of its own")
    assert "SSL_CERT_FILE" not in network.network_environment()
