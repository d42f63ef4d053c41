"""QGIS's proxy and certificate authorities, as the environment variables that pip, requests, GDAL and
fsspec understand. They reach children through their environment or standard input, never a command line.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE")


def network_environment() -> dict[str, str]:
    """The variables that give a child QGIS's way to the network. Call it on the main thread."""
    return {**_proxy(), **_certificates()}


def _proxy() -> dict[str, str]:
    if not QgsSettings().value("proxy/proxyEnabled", False, type=bool):
        return {}
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.fallbackProxy()
    schemes = {
        QNetworkProxy.ProxyType.HttpProxy: "http",
        QNetworkProxy.ProxyType.HttpCachingProxy: "http",
        QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
    }
    # "Default" means the system's own proxies, which the child finds for itself.
    if proxy.type() not in schemes or not proxy.hostName():
        return {}
    login = ""
    if proxy.user():
        password = f":{quote(proxy.password(), safe='')}" if proxy.password() else ""
        login = f"{quote(proxy.user(), safe='')}{password}@"
    address = f"{schemes[proxy.type()]}://{login}{proxy.hostName()}:{proxy.port()}"
    hosts = ["localhost", "127.0.0.1", "::1"]
    for url in [*manager.excludeList(), *manager.noProxyList()]:
        hosts.append(url.split("://")[-1].split("/")[0].split(":")[0])
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    no_proxy = ",".join(dict.fromkeys(host for host in hosts if host))
    return {**dict.fromkeys(names, address), "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def _certificates() -> dict[str, str]:
    """The authorities that the user added in QGIS, together with the system's, as one PEM file."""
    manager = QgsApplication.authManager()
    if manager.isDisabled() or not (manager.databaseCAs() or manager.extraFileCAs()):
        return {}
    bundle = Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "certificates.pem"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    part = bundle.with_name(f"{bundle.name}.{os.getpid()}")
    part.write_bytes(bytes(manager.trustedCaCertsPemText()))
    os.replace(part, bundle)
    return dict.fromkeys(CA_VARIABLES, str(bundle))
