"""Imports the packages named as arguments and prints all versions. Runs by path, in the new environment."""

import importlib
import importlib.metadata
import importlib.util
import json
import sys


def _module(name):
    """The module to import for a distribution: `odc-geo` is `odc.geo`, `pystac-client` is `pystac_client`."""
    for candidate in (name.replace("-", "_"), name.replace("-", ".")):
        try:
            if importlib.util.find_spec(candidate) is not None:
                return candidate
        except ModuleNotFoundError:
            continue
    for top, distributions in importlib.metadata.packages_distributions().items():
        if name in {item.lower().replace("_", "-") for item in distributions}:
            return top
    return name.replace("-", "_")


failed = {}
for wanted in sys.argv[1:]:
    try:
        importlib.import_module(_module(wanted))
    except Exception as error:  # noqa: BLE001  (whatever a broken library raises is the answer)
        failed[wanted] = f"{type(error).__name__}: {error}"
packages = {
    item.metadata["Name"].lower().replace("_", "-"): item.version
    for item in importlib.metadata.distributions()
}
print(json.dumps({"failed": failed, "packages": dict(sorted(packages.items()))}))
