"""The private Python environment of the core: found, made, checked, removed and reported.

Standard library only, Python 3.9: this half runs inside QGIS. Import the modules by name.
"""
