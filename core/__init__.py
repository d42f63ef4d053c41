"""The science of Minicuber: pure Python, no QGIS, no Qt.

`errors`, `progress`, `secrets`, `environment` and `worker.client` need the standard library alone and run on
Python 3.9 inside QGIS; everything else needs the packages of `environment/requirements.lock`.
"""
