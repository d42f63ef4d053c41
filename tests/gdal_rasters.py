"""Rasters for tests inside QGIS, and what a cube holds, by GDAL alone: there is no rasterio."""

from __future__ import annotations

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()


def read(path, name):
    """The stored numbers of a variable, and its attributes."""
    array = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER).GetRootGroup().OpenMDArray(name)
    return array.ReadAsArray(), {each.GetName(): each.Read() for each in array.GetAttributes()}


def corner(path):
    """(left, top, width, height) of a cube of 10 m."""
    west, _ = read(path, "x")
    north, _ = read(path, "y")
    return west[0] - 5, north[0] + 5, len(west), len(north)


def raster(path, values, left, top, pixel=10.0, epsg=32632, names=()):
    """A GeoTIFF of bytes or floats: `values` (y, x), or (band, y, x) with `names` of the bands."""
    bands = values if values.ndim == 3 else values[None]
    kind = gdal.GDT_Byte if values.dtype == np.uint8 else gdal.GDT_Float32
    made = gdal.GetDriverByName("GTiff").Create(str(path), bands.shape[2], bands.shape[1], len(bands), kind)
    made.SetGeoTransform((left, pixel, 0, top, 0, -pixel))
    if epsg:
        system = osr.SpatialReference()
        system.ImportFromEPSG(epsg)
        made.SetProjection(system.ExportToWkt())
    for number, band in enumerate(bands, start=1):
        made.GetRasterBand(number).WriteArray(band)
        if names:
            made.GetRasterBand(number).SetDescription(names[number - 1])
    made.FlushCache()
    return str(path)
