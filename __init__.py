"""Minicuber: space-time cubes of satellite, climate and local data, from QGIS."""

__version__ = "0.1.0"


def classFactory(iface):  # noqa: N802  (the name is QGIS's)
    """Return the plugin object; QGIS calls this once when it loads the plugin."""
    from .plugin.plugin import MinicuberPlugin

    return MinicuberPlugin(iface)
