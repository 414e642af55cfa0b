"""Loads the benchmark's scene with odc-stac and prints seconds, peak memory and band means as JSON.

usage: odc_stac_read.py SCENE.json THREADS
"""

import json
import resource
import sys
import time
from datetime import datetime

import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox


def item_of(granule):
    when = datetime.fromisoformat(granule["datetime"])
    lon, lat = granule["centre"]
    box = {"type": "Polygon", "coordinates": [[[lon - 0.5, lat - 0.5], [lon + 0.5, lat - 0.5], [lon + 0.5, lat + 0.5], [lon - 0.5, lat + 0.5], [lon - 0.5, lat - 0.5]]]}
    item = pystac.Item(granule["id"], box, [lon - 0.5, lat - 0.5, lon + 0.5, lat + 0.5], when, {"proj:epsg": granule["epsg"]})
    item.stac_extensions = [
        "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    ]
    for name, asset in granule["assets"].items():
        fields = {
            "proj:shape": asset["shape"],
            "proj:transform": asset["transform"],
            "raster:bands": [{"data_type": asset["dtype"], "nodata": 0}],
        }
        item.add_asset(name, pystac.Asset(asset["href"], media_type="image/tiff; application=geotiff", roles=["data"], extra_fields=fields))
    return item


def main(scene_file, threads):
    with open(scene_file, encoding="utf-8") as file:
        scene = json.load(file)
    items = [item_of(granule) for granule in scene["granules"]]
    target = scene["target"]
    geobox = GeoBox((target["height"], target["width"]), Affine(*target["transform"]), f"EPSG:{target['epsg']}")
    how = {
        "bands": scene["bands"],
        "groupby": "solar_day",
        "resampling": {"*": "bilinear", "SCL": "nearest"},
        "pool": threads,
    }
    # A small load first: imports and tables are not what is measured.
    odc.stac.load(items[:1], geobox=geobox[:64, :64], **{**how, "bands": scene["bands"][:1]})
    start, worked = time.perf_counter(), time.process_time()
    found = odc.stac.load(items, geobox=geobox, **how)
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    means = {}
    for name in scene["bands"]:
        values = found[name].values
        valid = values != 0
        means[name] = float(values[valid].mean(dtype=np.float64))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    versions = {"odc_stac": odc.stac.__version__, "rasterio": rasterio.__version__, "gdal": rasterio.__gdal_version__}
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "dates": int(found.sizes["time"]), "means": means, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
