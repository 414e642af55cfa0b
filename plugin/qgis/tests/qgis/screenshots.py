"""Run by QGIS itself (`qgis --code`): pictures of the dock, of a styled result, and of a dialog, for eyes.

SKYSENSE_SHOTS names the folder for them, SKYSENSE_CATALOG a catalog, SKYSENSE_STACK an image with named bands.
"""

import os
import traceback
from pathlib import Path

import processing
from processing.gui.AlgorithmDialog import AlgorithmDialog
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QDate, Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

SHOTS = Path(os.environ["SKYSENSE_SHOTS"])
state = {"waited": 0}


def shot(name, widget=None):
    QApplication.processEvents()
    screen = QApplication.primaryScreen()
    picture = widget.grab() if widget is not None else screen.grabWindow(0)
    assert picture.save(str(SHOTS / f"{name}.png")), name


def guarded(step):
    def run():
        try:
            step()
        except Exception:
            (SHOTS / "error.txt").write_text(traceback.format_exc())
            os._exit(1)

    return run


def later(milliseconds, step):
    QTimer.singleShot(milliseconds, guarded(step))


def begin():
    iface.mainWindow().setGeometry(0, 0, 1280, 960)
    plugin = plugins["skysense"]
    state["dock"] = dock = plugin.dock
    dock.setUserVisible(True)
    dock.sources.catalog.setText(os.environ["SKYSENSE_CATALOG"])
    dock.start.setDate(QDate(2021, 3, 1))
    dock.end.setDate(QDate(2021, 10, 31))
    dock.refresh_models()
    dock.model.setCurrentText("second")
    answer = processing.runAndLoadResults("skysense:segment", {
        "CATALOG": os.environ["SKYSENSE_CATALOG"], "COLLECTIONS": "sentinel-2-l2a",
        "MODEL": str(dock._chosen().path), "OUTPUT": str(SHOTS / "work" / "map"), "OUTPUTS": [0],
    })  # fmt: skip
    assert Path(answer["RESULT"]).is_file(), answer
    layer = next(iter(QgsProject.instance().mapLayers().values()))
    iface.mapCanvas().setExtent(layer.extent())
    dock.compare.offer(layer)
    dock.area.set_area(layer.extent().buffered(-150), layer.crs())
    later(1500, preview)


def preview():
    state["dock"]._run(preview=True)
    assert state["dock"].job is not None, state["dock"].words.text()
    later(500, wait)


def wait():
    dock = state["dock"]
    state["waited"] += 1
    if not dock.go.isEnabled() and state["waited"] < 120:
        later(500, wait)
        return
    assert len(QgsProject.instance().mapLayers()) == 2, dock.words.text()
    iface.mapCanvas().refresh()
    later(2000, pictures)


def of_layers():
    """The same from a layer of the project, and the whole area."""
    dock = state["dock"]
    image = QgsRasterLayer(os.environ["SKYSENSE_STACK"], "image")
    assert QgsProject.instance().addMapLayer(image), "no image"
    sources = dock.sources
    sources.kind.setCurrentIndex(1)
    sources.layers.setItemCheckState(sources.layers.findText("image"), Qt.CheckState.Checked)
    sources.dates.setText("2021-03-18")
    sources.numbers.setCurrentIndex(1)
    state["waited"] = 0
    dock._run(preview=False)
    later(500, wait_for_layers)


def wait_for_layers():
    dock = state["dock"]
    state["waited"] += 1
    if not dock.go.isEnabled() and state["waited"] < 120:
        later(500, wait_for_layers)
        return
    assert len(QgsProject.instance().mapLayers()) == 4, dock.words.text()
    shot("layers", dock)
    assert not dock.before.isVisibleTo(dock) and not dock.sources.earlier.isVisibleTo(dock.sources)
    dock.model.setCurrentText("change")
    later(500, two_times)


def two_times():
    """A model that compares two times asks for both."""
    dock = state["dock"]
    assert dock.before.isVisibleTo(dock) and dock.sources.earlier.isVisibleTo(dock.sources), dock.about.text()
    shot("two-times", dock)
    later(100, missing)


def missing():
    """Without the command the dock says what to do, and nothing breaks."""
    dock = state["dock"]
    os.environ["SKYSENSE_BINARY"] = "/gone/skysense"
    dock.refresh_models()
    assert "skysense qgis install" in dock.words.text(), dock.words.text()
    # Areas that no one can tell in degrees are refused, and the smallest are told in them.
    middle = dock.area.middle(160.0)
    assert middle.endswith("[EPSG:4326]"), middle
    dock.area.set_area(QgsRectangle(-1e12, -1e12, 1e12, 1e12), QgsCoordinateReferenceSystem("EPSG:32633"))
    assert not dock.area.text() and "smaller" in dock.area.words.text(), dock.area.words.text()
    dock.area.set_area(QgsRectangle(0, 0, 1, 1), QgsCoordinateReferenceSystem())
    assert not dock.area.text() and "reference system" in dock.area.words.text(), dock.area.words.text()
    # The plugin goes after runs that are over.
    plugins["skysense"].unload()
    (SHOTS / "done.txt").write_text("done")
    os._exit(0)


def pictures():
    shot("window")
    shot("dock", state["dock"])
    algorithm = QgsApplication.processingRegistry().algorithmById("skysense:segment").create()
    state["dialog"] = dialog = AlgorithmDialog(algorithm, parent=iface.mainWindow())
    dialog.resize(760, 1000)
    dialog.show()
    later(1500, dialogs)


def dialogs():
    shot("dialog", state["dialog"])
    from skysense.dock.models_dialog import ModelsDialog

    state["models"] = models = ModelsDialog(iface.mainWindow())
    models.show()
    later(1000, end)


def end():
    shot("models", state["models"])
    state["models"].close()
    state["dialog"].close()
    later(100, of_layers)


later(2500, begin)
