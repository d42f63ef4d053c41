"""The words of every algorithm and parameter, in one place; a test holds that none is missing.

Per algorithm: NAME, SHORT (one line), GROUP, GROUP_ID (frozen), TAGS (words to find it by), HELP (HTML),
and one text per parameter.
"""

from __future__ import annotations

_LOAD = "Load the result into the project, as a group of layers with styles and dates."
_CUBE = (
    "The cube: a NetCDF file, or the .zgroup or zarr.json in a Zarr folder (or the folder itself), written by "
    "Minicuber, by earthnet-minicuber, or by others after the CF conventions."
)

HELP: dict[str, dict[str, str]] = {
    "setupenvironment": {
        "NAME": "Set up environment",
        "SHORT": "Makes the private Python environment in which Minicuber computes.",
        "GROUP": "Setup",
        "GROUP_ID": "setup",
        "TAGS": "install python packages venv dependencies report proxy",
        "HELP": (
            "<p>Minicuber computes in a Python environment of its own, in your QGIS profile. Nothing is "
            "installed into QGIS's Python. This algorithm makes that environment: it finds a Python 3.11 to "
            "3.14 on this machine and downloads the packages, each checked against a known checksum. The log "
            "says beforehand what goes where and how large it is.</p>"
            "<p>It needs to run once, and again after an upgrade of the plugin that changes the packages. "
            "QGIS's proxy and certificates are used. The report at the end can be pasted into an issue.</p>"
        ),
        "PYTHON": "The Python (3.11 to 3.14) to make the environment with. Empty: the best one that is found.",
        "WHEELS": (
            "A folder of downloaded packages (wheels) to install from, without any network. "
            "Fill it on another machine with: pip download --require-hashes -r requirements.lock"
        ),
        "ALLOW_UV": (
            "If this machine has no suitable Python: agree that the tool uv (about 25 MB) is downloaded "
            "and fetches one (about 35 MB) for Minicuber alone."
        ),
        "RECREATE": "Make the environment anew even if it is complete.",
        "REMOVE": "Remove all that was made here (environments, downloaded Pythons, caches), and make nothing.",
    },
    "createdemodata": {
        "NAME": "Create demo data",
        "SHORT": "Writes a small synthetic catalog of satellite images, weather and layers to try with.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "demo example synthetic sentinel-2 stac era5 test data",
        "HELP": (
            "<p>Writes, without any network, a STAC catalog of synthetic Sentinel-2 images (March 2020 to "
            "August 2022, every 5 days, with seasons, clouds, shadows and snow), hourly weather in the form of "
            "ERA5, an elevation model, a land cover map and a forest mask. All of it says that it is "
            "synthetic. It takes less than a minute and about 50 MB.</p>"
            "<p>Then run <i>Build minicube</i> with the outputs CATALOG, EXTENT, START and END.</p>"
        ),
        "OUTPUT": "The folder to write. An earlier demo in it is replaced; any other content is refused.",
        "LOAD": "Load elevation, land cover and forest mask into the project.",
    },
    "buildminicube": {
        "NAME": "Build minicube",
        "SHORT": "Builds a space-time cube of Sentinel-2 images on one exact grid.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "minicube datacube cube sentinel-2 stac time series netcdf satellite reflectance",
        "HELP": (
            "<p>Searches a catalog for Sentinel-2 images of an extent and a period, and writes them as one cube "
            "(time, y, x): a NetCDF file or a Zarr folder. Pixels that lie on the cube's lattice are copied unchanged; "
            "the reflectance offset of newer images is applied where the catalog has not done so.</p>"
            "<p><i>Catalog</i> takes the name of a preset, such as planetary-computer or earth-search, a path, or a "
            "URL. The cube has a step for every date with images, or for every few days (<i>Time axis</i>).</p>"
            "<p><i>Climate data</i> adds ERA5 on the same time axis: each value covers the days since the previous "
            "image, up to and including its own.</p>"
            "<p>A run that was interrupted continues when it is started again.</p>"
            "<p>Try it with <i>Only estimate</i> first: the log then says how many images and dates there are, "
            "how cloudy they are, and how much will be downloaded and stored.</p>"
            "<p>Bands: B01, B02, B03, B04, B05, B06, B07, B08, B8A, B09, B11, B12 (reflectance), AOT, WVP "
            "(atmosphere), SCL (scene classification).</p>"
        ),
        "EXTENT": (
            "The area of the cube, with its CRS, for example 7.75,7.77,46.95,46.96 [EPSG:4326]. "
            "The cube is the smallest rectangle of whole pixels that contains it."
        ),
        "CRS": "The CRS of the cube, a projected one. Empty: the UTM zone of the extent's centre.",
        "RESOLUTION": (
            "The pixel size in units of the CRS. 10 m is the finest of Sentinel-2; 0 takes the finest of the "
            "chosen bands as the images have it."
        ),
        "WIDTH": "Pixels from west to east around the extent's centre; 0 for the whole extent.",
        "HEIGHT": "Pixels from north to south around the extent's centre; 0 for the whole extent.",
        "START": "The first day (UTC), for example 2020-06-01.",
        "END": "The last day (UTC), inclusive.",
        "CATALOG": (
            "Where the images are: the name of a preset (planetary-computer, earth-search, cdse, deafrica, dea, "
            "swissdatacube; a collection may follow, as in earth-search/sentinel-2-l2a), the path of a STAC catalog, "
            "collection or item collection, or the URL of one or of a STAC API."
        ),
        "FALLBACK_CATALOG": (
            "A second catalog, asked when the first does not answer. It gets no credentials."
        ),
        "CATALOG_AUTH": (
            "The authentication configuration for CATALOG: user name and password, or an API header, for its "
            "server; for files in an object store (cdse) the access key as user name and the secret key as "
            "password. It is never stored with the cube nor in the history."
        ),
        "S2_BANDS": (
            "The Sentinel-2 bands: B01, B02, B03, B04, B05, B06, B07, B08, B8A, B09, B11, B12, AOT, WVP, SCL. "
            "Each becomes a variable, s2_B02 and so on."
        ),
        "S2_MASK": (
            "scl: adds the variable s2_mask (0 clear, 1 cloud, 2 cloud shadow, 3 snow, 4 other or no data) from "
            "the scene classification; none: no mask. The reflectance stays as it is."
        ),
        "MAX_CLOUD": (
            "Leave out images whose whole scene has more cloud than this, in per cent. "
            "Images that do not say how cloudy they are stay."
        ),
        "MIN_CLEAR": (
            "Leave out dates on which less of the extent is clear than this, in per cent, by the scene "
            "classification, which is read first: a cloudy date costs one band. An estimate does not look at it."
        ),
        "TIME_AXIS": (
            "s2: one step per date that has images. regular: steps of STEP_DAYS days from START on, named by "
            "their last day; each pixel is taken from the latest clear image of the step, else from the latest "
            "one with a value, and s2_image_date says from which."
        ),
        "STEP_DAYS": "The length of a step of the regular time axis, in days.",
        "ERA5_SOURCE": (
            "Where climate data are: the name of a preset (era5-pds, era5-pds-netcdf, planetary-computer-era5, "
            "earthmover-era5, ecmwf-era5, ecmwf-era5-land, earthdatahub-era5, earthdatahub-era5-land), or the path "
            "or URL of a Zarr store, a NetCDF file or a folder of them, with the names of ECMWF or of era5-pds. "
            "Empty: none."
        ),
        "ERA5_VARIABLES": (
            "A row for each climate variable: its name and how its hours become one value, for example t,mean,tp,sum. "
            "Names: t, dp (dew point), maxt, mint, tp (precipitation), sr (solar radiation), sp, ap (pressure at the "
            "surface and at sea level), sea_t, east_wind_10, north_wind_10, east_wind_100, north_wind_100, e, pev; "
            "derived: vpd (vapour pressure deficit), rh, wind_10, wind_100, et0 (FAO-56), gdd0, gdd5, gdd10. "
            "Aggregations: mean, min, max, sum, median, std, percentiles as p95; empty for the usual one. Units are "
            "ECMWF's: K, Pa, m, J m-2, m s-1. They become era5_t and so on, of several era5_t_max, era5_t_p95."
        ),
        "ERA5_WINDOW": (
            "since_previous: a value covers the days after the previous date up to and including its own. trailing: "
            "the last STEP_DAYS days. The first step is STEP_DAYS long in both. Days are UTC."
        ),
        "ERA5_DAILY": "Add the value of each UTC day too, as era5_t_daily and so on, along time_daily.",
        "ERA5_SPACE": (
            "nearest: the series of the nearest cell that has values. bilinear: maps, interpolated between the cells. "
            "auto: maps where the extent is larger than a cell."
        ),
        "ERA5_DEM": (
            "An elevation model (m) to whose pixels temperature (t, maxt, mint) is moved by 0.0065 K m-1 from the "
            "elevation of the cell, which the pressures at the surface and at sea level tell: both must be in the "
            "store. The variables become maps. Empty: no correction."
        ),
        "MIN_HOURS_SHARE": (
            "A step of which fewer hours are there than this share is missing. 1: every hour must be there."
        ),
        "ERA5_AUTH": (
            "The authentication configuration for ERA5_SOURCE: an API header called Authorization, a token as "
            "password, or keys of an object store. Else the environment: CDSAPI_KEY for ECMWF, EARTHDATAHUB_TOKEN for "
            "the Earth Data Hub. It is never stored with the cube nor in the history."
        ),
        "RESAMPLING": (
            "Methods of resampling that differ from the default, as JSON, for example "
            '{"B11": "bilinear", "B12": "cubic"}. Known: nearest, bilinear, cubic, cubic_spline, lanczos, average, '
            "mode, min, max, med; for SCL nearest and mode. Pixels on the cube's own lattice are copied all the "
            "same. Default: nearest where pixels nest, else bilinear; average (SCL: mode) where the source is finer."
        ),
        "FAIL_ON_MISSING": (
            "A file that cannot be had, after several attempts and from the fallback catalog neither, ends the run. "
            "Else its pixels are missing, the log counts it, and s2_missing_assets in the cube names it."
        ),
        "RECIPE": (
            "A recipe as JSON, a cube whose recipe to build again, or the specs of earthnet-minicuber as JSON. What "
            "it names wins over the parameters here."
        ),
        "DRY_RUN": "Only search and estimate; nothing is downloaded or written.",
        "LOAD": _LOAD,
        "OUTPUT": "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr). Not needed for an estimate.",
    },
    "attachlayers": {
        "NAME": "Attach layers",
        "SHORT": "Makes layers of the project variables of a minicube: rasters and vectors of any kind.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "attach layers rasters vectors polygons mask share field classes legend static variables cube minicube",
        "HELP": (
            "<p>Brings raster and vector layers onto the grid of a cube and adds each as a variable (y, x). All that "
            "the cube has stays as it is.</p>"
            "<p><i>Rasters</i>: any that QGIS opens. Classes (unique values) keep their names and colours. What is "
            "missing never mixes into values; how much of the cube a layer covers is reported.</p>"
            "<p><i>Vectors</i>: with the layer's filter and edits that are not saved yet. mask: 1 where a polygon "
            "holds the pixel's centre, or a line or point touches the pixel; share: the exact share of the pixel that "
            "polygons cover; or the value of a field, of overlapping features the first, last, min, max, mean or sum. "
            "Texts become classes.</p>"
        ),
        "CUBE": _CUBE,
        "LAYERS": "Raster and vector layers of the project, or files.",
        "OPTIONS": (
            "A row for each layer that needs one: the layer (its id, source, sublayer, name, file name without its "
            "end, or position 1, 2, ...), the name of the variable (empty: the layer's), the resampling, and the band "
            "or field (empty: band 1, no field). Resampling of rasters: auto, nearest, bilinear, cubic, average, "
            "mode, min, max, median; of vectors: auto, mask, share, first, last, min, max, mean, sum. auto: nearest "
            "where pixels nest and for classes, else bilinear; average (classes: mode) where the layer is finer; of "
            "vectors the mask, or with a field the last feature's value."
        ),
        "REPLACE": "Replace variables of the same name. Else a layer whose name the cube has already is an error.",
        "LOAD": _LOAD,
        "OUTPUT": "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr). It may be the cube itself.",
    },
    "aggregatetime": {
        "NAME": "Aggregate over time",
        "SHORT": "Brings variables of a minicube to steps of days: mean, largest, sum, percentiles of each step.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "aggregate resample time composite mean maximum median sum percentile weather dates cube minicube",
        "HELP": (
            "<p>Makes a cube on a new time axis from variables of another one: a value for every few days, or for "
            "the dates of one of its variables (<i>Variable whose dates to match</i>), which are then copied beside "
            "it. Any variable over time can be aggregated, with pixels or without. What does not change with time "
            "is copied.</p>"
            "<p>A step is named by its last day and takes the values of its days; of those that are missing the "
            "others speak, and without any the step is missing. The first step begins on the cube's first "
            "day (where a variable is itself a sum or the like of days, with the first of these), and no step ends "
            "after its last.</p>"
            "<p>Aggregations: mean, min, max, sum, median, std (of the population), and percentiles such as p5 or "
            "p95. Of classes there are min, max and median alone.</p>"
        ),
        "CUBE": _CUBE,
        "VARIABLES": (
            "Rows of a variable and its aggregation (mean, min, max, sum, median, std, p5, p95), for example s2_ndvi, "
            "max. A variable with one aggregation keeps its name; with several it becomes s2_ndvi_max and so on. "
            "Where rows cannot be written, give all cells one after the other: s2_ndvi,max,s2_B08,mean."
        ),
        "STEP_DAYS": (
            "The length of a step, in days. With LIKE it is that of the first step alone: the others begin after the "
            "date before."
        ),
        "LIKE": (
            "A variable of the cube: its dates become the time axis, and each step takes the days after the previous "
            "date up to and including its own. All that lies on these dates is copied. Empty: regular steps."
        ),
        "LOAD": _LOAD,
        "OUTPUT": "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr). Not the cube itself.",
    },
    "spectralindices": {
        "NAME": "Spectral indices",
        "SHORT": "Adds spectral indices such as NDVI, EVI or NDWI to a minicube, by their names.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "index ndvi evi ndwi nbr savi kndvi vegetation water snow burn spyndex feature day year cube minicube",
        "HELP": (
            "<p>Makes a copy of a cube with a variable more for each index, <i>s2_ndvi</i> for NDVI of Sentinel-2; all "
            "else stays as it is. An index that the cube has already is made anew.</p>"
            "<p>The indices are the 280 of the catalogue Awesome Spectral Indices (package spyndex), for vegetation, "
            "water, snow, burns, soil, towns and radar: "
            "https://awesome-ee-spectral-indices.readthedocs.io/en/latest/list.html. Formula, reference, bands and "
            "constants are recorded with each variable. Bands are those of Sentinel-2 (s2_B04), else of Landsat "
            "(ls8_sr_B4) or Sentinel-1 (s1_vv), in whichever cube they are, as reflectance where 1.0 is 100 %.</p>"
            "<p>Nothing is clipped. A value is missing where a band is missing, where the formula divides by zero, and "
            "where it has no finite value.</p>"
        ),
        "CUBE": _CUBE,
        "INDICES": "Names of indices, separated by commas, for example NDVI,NDWI,EVI. Not needed for features alone.",
        "PARAMETERS": (
            'Constants of the indices as JSON, for example {"L": 0.5}; of one index alone {"SAVI": {"L": 0.5}}. '
            "Without them each has the value of the catalogue, for example L 1 (in SAVI too, whose authors prefer "
            "0.5), and central wavelengths are those of the sensor. Indices with kernels (kNDVI) use the Gaussian one "
            'with sigma 0.5; {"sigma": "mean"} makes it the mean of the two bands of each pixel, as their authors '
            "recommend."
        ),
        "FEATURES": (
            "What a model may want to know besides. day_of_year: doy (1 to 366) and its place in the year as doy_sin "
            "and doy_cos, for each date. lonlat: lon and lat of each pixel, in degrees (WGS 84)."
        ),
        "LOAD": _LOAD,
        "OUTPUT": "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr). It may be the cube itself.",
    },
    "terrainvariables": {
        "NAME": "Terrain variables",
        "SHORT": "Adds slope, aspect, ruggedness, curvature and wetness of the ground to a minicube, at any scales.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "terrain dem elevation slope aspect northness eastness ruggedness tri curvature wetness twi topography",
        "HELP": (
            "<p>Writes the cube with further variables that do not change with time. What it has stays as it is.</p>"
            "<p>From an elevation model (a layer) the elevation is read beyond the cube too, so that the cube's edge "
            "is like its middle. From a variable of the cube it is not: pixels at the edge, whose neighbours are not "
            "known, are missing.</p>"
            "<p>At each scale the elevation is brought to pixels of that size, the variable is computed there, and "
            "brought to the cube's pixels bilinearly: slope_20m, slope_100m. An elevation model that was resampled to "
            "finer pixels than its own has facets; a scale of its own pixels' size or more avoids them. An average of "
            "which more than 5 per cent are missing is missing, and so are its neighbours.</p>"
            "<p>Slope and aspect are Horn's (1981), as of gdaldem; ruggedness is the index of Riley et al. (1999); "
            "curvature is minus the Laplacian, by Zevenbergen and Thorne (1987), positive where convex upwards; "
            "twi is the wetness index ln(a / tan b) of Beven and Kirkby (1979), where depressions are filled "
            "(Barnes et al. 2014), water divides among all lower neighbours (Freeman 1991), and tan b is at least "
            "0.001. It knows the catchment within 1 km or 32 pixels (the larger) around the cube, so large rivers "
            "are not told from small ones.</p>"
        ),
        "CUBE": _CUBE + " Its CRS must be projected.",
        "DEM": (
            "Elevations in metres: a raster layer with a file, of any CRS and pixel size; its first band. It should "
            "reach beyond the cube: by two pixels of the largest scale, for twi by 1 km or 32 pixels. What it does not "
            "cover is missing; the log says how much."
        ),
        "DEM_VARIABLE": (
            "In place of a layer: a variable of the cube over y and x that holds elevations in metres, for example "
            "cop_dem."
        ),
        "VARIABLES": (
            "slope (degrees); northness and eastness (cosine and sine of the aspect: 1 faces north or east by the "
            "cube's grid; 0 on flat ground, near 0 between pixels that face opposite ways; not weighted by slope); "
            "ruggedness (m); curvature (1/m); twi (wetness index)."
        ),
        "SCALES": (
            "Sizes of pixels in metres, for example 20,100,500, at most 10000; each makes a variable with the size in "
            "its name. Empty: one variable, at the pixel of the cube or of the elevation model, whichever is larger. "
            "A finer scale is computed at that pixel, with a warning."
        ),
        "LOAD": _LOAD,
        "OUTPUT": "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr). It may be the cube itself.",
    },
    "loadminicube": {
        "NAME": "Load minicube",
        "SHORT": "Loads the variables of a minicube as styled layers with one band per date.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "open show display cube netcdf layers time series",
        "HELP": (
            "<p>Adds a group to the project with one layer per variable of the cube. Each layer has one band per "
            "date, named by the date; identifying a pixel shows its whole series. Colours mean the same at all "
            "dates. From QGIS 3.38 on the Temporal Controller steps through the dates; <i>A layer for each date</i> "
            "makes it do so in any QGIS, and with natural colours.</p>"
            "<p>A cube that is loaded already is brought up to date; what you changed of its layers' looks, names "
            "and order stays.</p>"
        ),
        "CUBE": _CUBE,
        "VARIABLES": (
            "The variables to load, separated by commas, for example s2_B04,s2_B08; s2_rgb stands for natural "
            "colours. Empty: all."
        ),
        "PER_DATE": (
            "Add a layer for each date too, with the day as its temporal range, in a collapsed group for each "
            "variable: for QGIS before 3.38, whose Temporal Controller knows no bands, and to compare dates. "
            "At most 400 of them."
        ),
    },
}
