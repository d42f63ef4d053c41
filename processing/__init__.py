"""The Processing provider: the algorithms that QGIS shows, thin over the core."""
