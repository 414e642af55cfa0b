"""QGIS without a desktop for the tests of this folder, and what they all need of the simulated scene.

end_to_end.py sets the environment: SKYSENSE_WORK is the folder of everything, SKYSENSE_PROFILE the profile of QGIS,
SKYSENSE_CATALOG the scene, SKYSENSE_MODEL a model of it.
"""

import json
import os
import sys
from pathlib import Path

sys.path[:0] = ["/usr/share/qgis/python", "/usr/share/qgis/python/plugins"]

from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
)

WORK, CATALOG, MODEL = (os.environ.get(f"SKYSENSE_{name}", "") for name in ("WORK", "CATALOG", "MODEL"))
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")

_kept = []


def start():
    """QGIS with Processing and the plugin, once for all tests."""
    if _kept:
        return _kept[1]
    gdal.UseExceptions()
    application = QgsApplication([], False, os.environ["SKYSENSE_PROFILE"])
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    sys.path.insert(0, str(Path(QgsApplication.qgisSettingsDirPath()) / "python" / "plugins"))
    from skysense.plugin import SkySensePlugin

    plugin = SkySensePlugin(None)
    plugin.initProcessing()
    _kept[:] = [application, plugin]
    return plugin


class Listening(QgsProcessingFeedback):
    """Keeps what an algorithm says."""

    def __init__(self):
        super().__init__()
        self.lines, self.progress = [], []
        self.progressChanged.connect(self.progress.append)
        for name in ("pushInfo", "pushWarning", "pushDebugInfo"):
            setattr(self, name, self._keep(name))

    def _keep(self, name):
        return lambda text: self.lines.append((name, text))


def run(algorithm, parameters, feedback=None, context=None):
    """Runs as PyQGIS does; errors are raised."""
    import processing

    return processing.run(algorithm, parameters, feedback=feedback or Listening(), context=context)


def project_context():
    """A context whose results may be loaded."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


def item(collection, place=0):
    """An item of the scene with the folder that it lies in."""
    folder = Path(CATALOG).parent / collection
    file = sorted(folder.glob("*/*.json"))[place]
    return json.loads(file.read_text()), file.parent


def stack(name, place=0, described=True):
    """All bands of a Sentinel-2 date of the scene in one GeoTIFF."""
    found, folder = item("sentinel-2-l2a", place)
    target = Path(WORK) / name
    if not target.exists():
        files = [str((folder / found["assets"][band]["href"]).resolve()) for band in BANDS]
        # Files of 20 m and 10 m: all are brought to the finest.
        mosaic = gdal.BuildVRT("", files, separate=True, resolution="highest")
        raster = gdal.Translate(str(target), mosaic, format="GTiff")
        for number, band in enumerate(BANDS, start=1):
            raster.GetRasterBand(number).SetDescription(band if described else "")
        raster.FlushCache()
    return str(target), found["properties"]["datetime"][:10]


def fails(algorithm, parameters):
    """The sentence that a run fails with."""
    try:
        run(algorithm, parameters)
    except QgsProcessingException as error:
        return str(error)
    raise AssertionError(f"{algorithm} did not fail")
