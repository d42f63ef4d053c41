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
_OUTPUT = "The cube to write: a NetCDF file (.nc) or a Zarr folder (.zarr)."
_OUTPUT_OR_ITSELF = _OUTPUT + " It may be the cube itself."

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
            "(time, y, x): a NetCDF file or a Zarr folder. Pixels that lie on the cube's lattice are copied "
            "unchanged; the reflectance offset of newer images is applied where the catalog has not done "
            "so.</p><p><i>Catalog</i> takes the name of a preset, such as planetary-computer or earth-search, a "
            "path, or a URL. The cube has a step for every date with images, or for every few days (<i>Time "
            "axis</i>).</p><p><i>Climate data</i> adds ERA5 on the same time axis: each value covers the days since "
            "the previous image, up to and including its own.</p><p>A run that was interrupted continues when it is "
            "started again.</p><p>Try it with <i>Only estimate</i> first: the log then says how many images and "
            "dates there are, how cloudy they are, and how much will be downloaded and stored.</p><p>Bands: B01, "
            "B02, B03, B04, B05, B06, B07, B08, B8A, B09, B11, B12 (reflectance), AOT, WVP (atmosphere), SCL (scene "
            "classification).</p>"
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
            "A row for each climate variable: its name and how its hours become one value, for example "
            "t,mean,tp,sum. Names: t, dp (dew point), maxt, mint, tp (precipitation), sr (solar radiation), sp, ap "
            "(pressure at the surface and at sea level), sea_t, east_wind_10, north_wind_10, east_wind_100, "
            "north_wind_100, e, pev; derived: vpd (vapour pressure deficit), rh, wind_10, wind_100, et0 (FAO-56), "
            "gdd0, gdd5, gdd10. Aggregations: mean, min, max, sum, median, std, percentiles as p95; empty for the "
            "usual one. Units are ECMWF's: K, Pa, m, J m-2, m s-1. They become era5_t and so on, of several "
            "era5_t_max, era5_t_p95."
        ),
        "ERA5_WINDOW": (
            "since_previous: a value covers the days after the previous date up to and including its own. trailing: "
            "the last STEP_DAYS days. The first step is STEP_DAYS long in both. Days are UTC."
        ),
        "ERA5_DAILY": "Add the value of each UTC day too, as era5_t_daily and so on, along time_daily.",
        "ERA5_SPACE": (
            "nearest: the series of the nearest cell that has values. bilinear: maps, interpolated between the "
            "cells. auto: maps where the extent is larger than a cell."
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
            "password, or keys of an object store. Else the environment: CDSAPI_KEY for ECMWF, EARTHDATAHUB_TOKEN "
            "for the Earth Data Hub. It is never stored with the cube nor in the history."
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
        "OUTPUT": _OUTPUT + " Not needed for an estimate.",
    },
    "attachlayers": {
        "NAME": "Attach layers",
        "SHORT": "Makes layers of the project variables of a minicube: rasters, also of many dates, and vectors.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": (
            "attach layers rasters vectors polygons mask share field classes legend attribute table dates time "
            "series temporal static variables cube minicube"
        ),
        "HELP": (
            "<p>Brings raster and vector layers onto the grid of a cube and adds each as a variable (y, x). All that "
            "the cube has stays as it is.</p><p><i>Rasters</i>: any that QGIS opens. What is missing never mixes "
            "into values; how much of the cube a layer covers is reported. Whole numbers are classes where the layer "
            "shows unique values, or the file has a raster attribute table, category names or a colour table; names "
            "and colours are kept. All others are continuous. The attribute resampling_choice says what was decided, "
            "and why.</p><p><i>Rasters with dates</i> become one variable (time, y, x), on the dates of the cube: "
            "several layers that get the same variable name in <i>Options per layer</i>, or a layer of several bands "
            "that all have a date of their own, where no band is chosen. Dates come from the temporal properties of "
            "the layer, the names of its bands, the name of the layer or of its file. A date of the cube without a "
            "raster is missing; the variable NAME_date says whose date each one got. Of several rasters of one date "
            "the first with a value counts, pixel by pixel, in the order of the layers.</p><p><i>Vectors</i>: with "
            "the layer's filter and edits that are not saved yet. mask: 1 where a polygon holds the pixel's centre, "
            "or a line or point touches the pixel; share: the exact share of the pixel that polygons cover; or the "
            "value of a field, of overlapping features the first, last, min, max, mean or sum. Texts become "
            "classes.</p>"
        ),
        "CUBE": _CUBE,
        "LAYERS": "Raster and vector layers of the project, or files.",
        "OPTIONS": (
            "A row for each layer that needs one: the layer (its id, source, sublayer, name, file name without its "
            "end, or position 1, 2, ...), the name of the variable (empty: the layer's; one name for several rasters "
            "with dates makes them one variable over time), the resampling, and the band or field (empty: all bands "
            "where each has a date of its own, else band 1; no field). Resampling of rasters: auto, nearest, "
            "bilinear, cubic, average, mode, min, max, median; of vectors: auto, mask, share, first, last, min, max, "
            "mean, sum. auto: nearest where pixels nest and for classes, else bilinear; average (classes: mode) "
            "where the layer is finer; of vectors the mask, or with a field the last feature's value."
        ),
        "REPLACE": "Replace variables of the same name. Else a layer whose name the cube has already is an error.",
        "DATE_PATTERN": (
            "Where the date stands in the names of bands, layers or files, if not written as 2020-06-06, 2020_06_06, "
            "2020.06.06 or 20200606, or in the name of a Sentinel-2, Landsat or MODIS product. With a % a pattern of "
            "strptime: %Y%j, ndvi_%d%m%Y; what it leaves out is 1 January. Else a regular expression: its "
            "groups named year, month and day, or year and doy; or its first group, which holds a date: "
            r"_(\d{8})_"
            ". Where it fits it goes before temporal properties; elsewhere dates are found as without it."
        ),
        "DATE_MATCH": (
            "Which raster a date of the cube gets. exact: that of the same day. nearest: the nearest, of two equally "
            "near ones the earlier. last: the last one on or before the date, so that no value comes from later."
        ),
        "DATE_TOLERANCE": "With nearest and last: the most days between a date and its raster; 0 for any number.",
        "LOAD": _LOAD,
        "OUTPUT": _OUTPUT_OR_ITSELF,
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
            "Rows of a variable and its aggregation (mean, min, max, sum, median, std, p5, p95), for example "
            "s2_ndvi, max. A variable with one aggregation keeps its name; with several it becomes s2_ndvi_max and "
            "so on. Where rows cannot be written, give all cells one after the other: s2_ndvi,max,s2_B08,mean."
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
        "OUTPUT": _OUTPUT + " Not the cube itself.",
    },
    "spectralindices": {
        "NAME": "Spectral indices",
        "SHORT": "Adds spectral indices such as NDVI, EVI or NDWI to a minicube, by their names.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "index ndvi evi ndwi nbr savi kndvi vegetation water snow burn spyndex feature day year cube minicube",
        "HELP": (
            "<p>Makes a copy of a cube with a variable more for each index, <i>s2_ndvi</i> for NDVI of Sentinel-2; "
            "all else stays as it is. An index that the cube has already is made anew.</p><p>The indices are the 280 "
            "of the catalogue Awesome Spectral Indices (package spyndex), for vegetation, water, snow, burns, soil, "
            "towns and radar: https://awesome-ee-spectral-indices.readthedocs.io/en/latest/list.html. Formula, "
            "reference, bands and constants are recorded with each variable. Bands are those of Sentinel-2 (s2_B04), "
            "else of Landsat (ls8_sr_B4) or Sentinel-1 (s1_vv), in whichever cube they are, as reflectance where 1.0 "
            "is 100 %.</p><p>Nothing is clipped. A value is missing where a band is missing, where the formula "
            "divides by zero, and where it has no finite value.</p>"
        ),
        "CUBE": _CUBE,
        "INDICES": "Names of indices, separated by commas, for example NDVI,NDWI,EVI. Not needed for features alone.",
        "PARAMETERS": (
            'Constants of the indices as JSON, for example {"L": 0.5}; of one index alone {"SAVI": {"L": 0.5}}. '
            "Without them each has the value of the catalogue, for example L 1 (in SAVI too, whose authors prefer "
            "0.5), and central wavelengths are those of the sensor. Indices with kernels (kNDVI) use the Gaussian "
            "one "
            'with sigma 0.5; {"sigma": "mean"} makes it the mean of the two bands of each pixel, as their authors '
            "recommend."
        ),
        "FEATURES": (
            "What a model may want to know besides. day_of_year: doy (1 to 366) and its place in the year as doy_sin "
            "and doy_cos, for each date. lonlat: lon and lat of each pixel, in degrees (WGS 84)."
        ),
        "LOAD": _LOAD,
        "OUTPUT": _OUTPUT_OR_ITSELF,
    },
    "cleanclouds": {
        "NAME": "Clean clouds",
        "SHORT": "Removes clouds and outliers from the images of a minicube, fills the gaps and smooths the series.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": (
            "cloud clean remove shadow snow outlier gap fill interpolate smooth loess lowess whittaker savitzky "
            "golay time series sentinel ndvi cube minicube"
        ),
        "HELP": (
            "<p>Cleans the reflectances and indices of a cube, pixel by pixel: what the mask takes for cloud goes, "
            "then clear values that are far too low for their time of the year, which are mostly clouds that the "
            "mask missed. Gaps are filled and the series smoothed over days.</p><p><i>robust</i>: one decision for "
            "all bands of a date, by a variable such as NDVI: how many median absolute deviations it lies below the "
            "median of its season, over all years. At most the given share of each pixel's clear dates goes, and "
            "only what is below the median.</p><p><i>seed</i>: the steps of the study forest_drought_forecasting, "
            "for comparison: it removes the lowest values of every week of the year, band by band, which is much "
            "more than the share says.</p><p>The cube gets <i>s2_filled</i> (1 where a value was not seen), "
            "<i>to_sample</i> (0 where a gap is longer than allowed), <i>s2_longest_gap</i>, "
            "<i>s2_removed_percent</i> and <i>s2_removed_share</i> of each date. Cleaned series know the future: to "
            "train models, let <i>Export dataset</i> clean instead.</p>"
        ),
        "CUBE": _CUBE,
        "MODE": "How clouds that the mask missed are told: robust, or seed for the numbers of the original study.",
        "DRIVER": (
            "The variable that tells outliers, for all bands of a date. If the cube has no s2_ndvi, it is made of "
            "s2_B08 (or s2_B8A) and s2_B04, and added."
        ),
        "REMOVE_FRACTION": (
            "robust: the share of each pixel's clear dates that goes at most. seed: the quantile of each week of the "
            "year below which values go."
        ),
        "MAX_GAP": (
            "Gaps of more steps are not filled, and to_sample is 0 there. seed: such pixels are not smoothed at all."
        ),
        "METHOD": (
            "loess: local lines, robust against what is left of clouds; whittaker; savgol: Savitzky-Golay; linear: "
            "straight lines over the gaps, what was seen stays as it is; none: nothing is filled."
        ),
        "LOESS_FRACTION": "Length of the window of loess as a share of the time axis; at least 5 dates.",
        "WINDOW_DAYS": "robust: a value is compared with those up to so many days earlier or later in any year.",
        "MIN_GROUP": "robust: the season is doubled until it holds so many clear values.",
        "WHITTAKER_LAMBDA": (
            "The strength of the smoothing, in terms of steps of 5 days (10 is little, 10000 much). 0: found for "
            "each series by cross-validation."
        ),
        "LOESS_ITERATIONS": "How often loess is repeated with less weight for values far from the curve.",
        "SAVGOL_DAYS": "Length of the window of savgol, in days.",
        "SAVGOL_DEGREE": "Degree of the polynomials of savgol.",
        "MAX_EXTRAPOLATION": (
            "So many steps before the first and after the last value of a pixel are filled (with that value, before "
            "smoothing); the rest stays missing. seed fills all."
        ),
        "DILATE": "Cloud and shadow of the mask grow by so many pixels.",
        "DROP": "Classes of the mask that are not clear: cloud, shadow (of clouds), other (or no data).",
        "SNOW": (
            "drop: snow counts as not clear. keep: it stays, is never an outlier, and has no say in what is usual."
        ),
        "YEARS": "Years from which the usual course of the year is taken, as 2017-2020,2022. Empty: all.",
        "VARIABLES": (
            "Names of variables to clean, with commas. Empty: the reflectances (s2_B02, ...), s2_ndvi and the "
            "spectral indices of Sentinel-2."
        ),
        "MASK": (
            "The variable of the mask, with the classes of s2_mask; where a cube has none it is made of s2_SCL. Empty: "
            "all that is there is clear."
        ),
        "LOAD": _LOAD,
        "OUTPUT": _OUTPUT_OR_ITSELF,
        "REPORT": (
            "A web page to write: what was removed on which dates, gaps, and curves of some pixels before and after. "
            "The pictures stand beside it as PNG."
        ),
    },
    "terrainvariables": {
        "NAME": "Terrain variables",
        "SHORT": "Adds slope, aspect, ruggedness, curvature and wetness of the ground to a minicube, at any scales.",
        "GROUP": "Cubes",
        "GROUP_ID": "cubes",
        "TAGS": "terrain dem elevation slope aspect northness eastness ruggedness tri curvature wetness twi topography",
        "HELP": (
            "<p>Writes the cube with further variables that do not change with time. What it has stays as it "
            "is.</p><p>From an elevation model (a layer) the elevation is read beyond the cube too, so that the "
            "cube's edge is like its middle. From a variable of the cube it is not: pixels at the edge, whose "
            "neighbours are not known, are missing.</p><p>At each scale the elevation is brought to pixels of that "
            "size, the variable is computed there, and brought to the cube's pixels bilinearly: slope_20m, "
            "slope_100m. An elevation model that was resampled to finer pixels than its own has facets; a scale of "
            "its own pixels' size or more avoids them. An average of which more than 5 per cent are missing is "
            "missing, and so are its neighbours.</p><p>Slope and aspect are Horn's (1981), as of gdaldem; ruggedness "
            "is the index of Riley et al. (1999); curvature is minus the Laplacian, by Zevenbergen and Thorne "
            "(1987), positive where convex upwards; twi is the wetness index ln(a / tan b) of Beven and Kirkby "
            "(1979), where depressions are filled (Barnes et al. 2014), water divides among all lower neighbours "
            "(Freeman 1991), and tan b is at least 0.001. It knows the catchment within 1 km or 32 pixels (the "
            "larger) around the cube, so large rivers are not told from small ones.</p>"
        ),
        "CUBE": _CUBE + " Its CRS must be projected.",
        "DEM": (
            "Elevations in metres: a raster layer with a file, of any CRS and pixel size; its first band. It should "
            "reach beyond the cube: by two pixels of the largest scale, for twi by 1 km or 32 pixels. What it does "
            "not cover is missing; the log says how much."
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
            "Sizes of pixels in metres, for example 20,100,500, at most 10000; each makes a variable with the size "
            "in its name. Empty: one variable, at the pixel of the cube or of the elevation model, whichever is "
            "larger. A finer scale is computed at that pixel, with a warning."
        ),
        "LOAD": _LOAD,
        "OUTPUT": _OUTPUT_OR_ITSELF,
    },
    "exportdataset": {
        "NAME": "Export dataset",
        "SHORT": "Makes context and target pairs of minicubes, with splits and statistics, for machine learning.",
        "GROUP": "Datasets",
        "GROUP_ID": "datasets",
        "TAGS": (
            "dataset export machine learning context target pairs samples windows split train validation test numpy "
            "npz shards earthnet greenearthnet pytorch cube minicube"
        ),
        "HELP": (
            "<p>Cuts the series of pixels or patches into a <i>context</i> and the <i>target</i> that follows it, "
            "and writes them as compressed numpy files, with an index for the map, the statistics of the training "
            "split, and what simple forecasts achieve.</p><p>No value dated after a context has any influence on it, "
            "cleaning and its thresholds included, and no pixel and date of a validation or test target lies in a "
            "training sample: both are checked and written to dataset.json.</p><p>Weather (era5_*) covers context "
            "and target with its own dates, moved later by <i>SHIFT</i> steps. What does not change with time is "
            "static. An interrupted export is continued when it is run again.</p>"
        ),
        "CUBES": "Minicubes: files, Zarr folders, folders of cubes, or the log (.csv) of Build minicubes.",
        "CONTEXT": "How many steps of the time axis the context has.",
        "TARGET": "How many steps the target has, which follows the context.",
        "STRIDE": "So many steps lie between the beginnings of two windows.",
        "SHIFT": "Weather is that of so many steps later, with its own dates.",
        "MAX_STEP_DAYS": "Windows in which two dates lie farther apart are left out. 0: any.",
        "UNIT": "What a sample is: a pixel, or a patch of PATCH_SIZE x PATCH_SIZE pixels.",
        "PATCH_SIZE": "Width and height of a patch in pixels.",
        "PATCH_OVERLAP": "So many pixels does a patch share with the next.",
        "PATCH_SHARE": "A patch is taken where WHERE holds for at least this share of its pixels.",
        "VARIABLES": (
            "Names of variables, with commas. Empty: all measured images, all weather, all static variables. Where "
            "some of a kind are named, those alone."
        ),
        "TARGET_VARIABLES": "Names of the variables of the target, with commas. Empty: those of the context.",
        "WHERE": (
            "A condition on variables of the cube: FOREST_MASK &gt; 0.8 and DROUGHT_MASK &gt; 0. Knows comparisons, "
            "and, or, not, arithmetic, in (1, 2), abs, isfinite, and of variables over time mean, min, max, count."
        ),
        "SEASON": "Month and day of the first target date, the end exclusive: 06-01/09-01. May go over the new year.",
        "EXCLUDE": "Years and periods that no window may touch: 2018,2020-06-01/2020-07-01.",
        "MIN_SEEN_CONTEXT": "Samples whose context has a smaller share of values that were seen are left out.",
        "MIN_SEEN_TARGET": "Samples whose target has a smaller share of values that were seen are left out.",
        "MAX_SAMPLES": "So many pixels or patches are drawn per cube, each with all its windows. 0: all.",
        "STRATA": "A variable of classes, or region (of PLACES): so many are drawn of each class.",
        "PER_CLASS": "So many pixels or patches are drawn per cube and class of STRATA. 0: all.",
        "MIN_DISTANCE": "Samples lie at least so many metres apart, also those of different cubes.",
        "PLACES": "Samples are taken at these points, or within these polygons.",
        "PLACES_FIELD": "The field that names the region of a place.",
        "SPLIT": (
            "How samples are shared among train, val and test: none (all train), random (places), spatial (blocks "
            "with a buffer), temporal, column (a field of a layer), kfold (column fold of the index). Cubes that "
            "overlap count as one place."
        ),
        "SPLIT_OPTIONS": (
            'JSON. random: {"fractions": [0.7, 0.15, 0.15], "unit": "cube"} (or pixel); spatial: {"block_m": 5000, '
            '"buffer_m": 1000}; temporal: {"val_from": "2020-01-01", "test_from": "2021-01-01"}; column: {"layer": '
            '"regions", "field": "split"}; kfold: {"folds": 5}.'
        ),
        "SMOOTHING": (
            "none: values as they were seen; context: the context is cleaned by what is known at its end; both: the "
            "target too, on its own dates; whole: the values of cleaned cubes, which know the future (dataset.json "
            "says so)."
        ),
        "CLEANING": 'Parameters of Clean clouds for context and both, as JSON: {"METHOD": "whittaker"}.',
        "FORMAT": (
            "npz: a file per sample; npz-sharded: many samples a file, much faster to read; seed: as "
            "forest_drought_forecasting wrote it; earthnet2021, greenearthnet: as the EarthNet challenges have it. "
            "These two always hold patches of 128 pixels with 10 + 20 steps: CONTEXT, TARGET, UNIT, PATCH_SIZE and "
            "SHIFT that are left at their defaults become that, other values are refused."
        ),
        "SEED": "The same cubes, parameters and seed give the same files.",
        "LOAD": "Load the index into the project, coloured by split.",
        "OUTPUT": "The folder to write. An earlier dataset in it is replaced; any other content is refused.",
    },
    "resplitdataset": {
        "NAME": "Split dataset anew",
        "SHORT": "Shares the samples of a dataset among train, validation and test in another way.",
        "GROUP": "Datasets",
        "GROUP_ID": "datasets",
        "TAGS": "dataset split resplit train validation test folds spatial temporal random machine learning",
        "HELP": (
            "<p>Writes <i>splits/SPLIT_NAME.json</i> in the folder of a dataset: for each sample of the index, in "
            "its order, its split and fold. Arrays and index stay as they are.</p>"
        ),
        "DATASET": "The folder of an exported dataset.",
        "SPLIT_NAME": "The split becomes splits/SPLIT_NAME.json.",
        "SPLIT": "none, random, spatial, temporal, column or kfold, as of Export dataset.",
        "SPLIT_OPTIONS": 'JSON, as of Export dataset: {"fractions": [0.7, 0.15, 0.15], "unit": "cube"}.',
        "SEED": "The same seed gives the same split.",
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
