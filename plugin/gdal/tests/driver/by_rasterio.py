"""Windows of a workflow through rasterio, in an order of chance and by eight threads at once, held to those of the map.

Called with the name of the workflow and the file of the whole map, by a Python whose rasterio uses the GDAL of the plugin.
"""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy
import rasterio
from rasterio.windows import Window

LIVE, WHOLE = sys.argv[1:]
DRAWN = random.Random(5)


def drawn(width, height):
    column, row = DRAWN.randrange(width - 1), DRAWN.randrange(height - 1)
    return Window(column, row, DRAWN.randint(1, min(90, width - column)), DRAWN.randint(1, min(90, height - row)))


with rasterio.open(WHOLE) as file:
    whole, facts, colours = file.read(1), (file.crs, file.transform, file.nodata, file.dtypes), file.colormap(1)
with rasterio.open(LIVE) as live:
    assert live.driver == "SKYSENSE", live.driver
    assert (live.crs, live.transform, live.nodata, live.dtypes) == facts, live.profile
    # A palette of TIFF has an entry for every value, and nothing is seen through it.
    named = {value: colour[:3] for value, colour in live.colormap(1).items()}
    assert named and named == {value: colours[value][:3] for value in named}, (named, colours)
    windows = [drawn(live.width, live.height) for _ in range(24)]


def differs(window):
    """Each thread opens a dataset of its own, as GDAL wants it."""
    with rasterio.open(LIVE) as live:
        found = live.read(1, window=window)
    rows, columns = window.toslices()
    return not numpy.array_equal(found, whole[rows, columns])


with ThreadPoolExecutor(8) as threads:
    wrong = [window for window, bad in zip(windows, threads.map(differs, windows)) if bad]
assert not wrong, wrong
print(f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}: {len(windows)} windows are those of the map")
