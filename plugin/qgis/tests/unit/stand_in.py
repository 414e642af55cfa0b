"""The plugin with a real PyQt, and with a stand-in for the rest of QGIS: run as `python stand_in.py PyQt6 PLUGIN`.

Every name of Qt that the source takes is looked up in the binding, and dock, dialogs and forms are built and used
without a screen. What QGIS itself does is not tested here: its classes are widgets of Qt where the plugin shows them,
and otherwise take everything. Says at the end, as JSON, what there was.
"""

import ast
import importlib
import json
import os
import sys
import tempfile
import threading
import types
from pathlib import Path

BINDING = sys.argv[1] if len(sys.argv) > 1 else "PyQt6"
PLUGIN = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[2] / "skysense").resolve()
QtCore, QtGui, QtWidgets = (importlib.import_module(f"{BINDING}.{name}") for name in ("QtCore", "QtGui", "QtWidgets"))
Qt, signal = QtCore.Qt, QtCore.pyqtSignal


# ---------------------------------------------------------------- names in the source


def resolved() -> tuple[int, list[str]]:
    """How many names of Qt the source takes, and those that the binding does not have."""
    count, wrong = 0, []
    for file in sorted(PLUGIN.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        attempts = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
        known = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("qgis.PyQt."):
                continue
            module = importlib.import_module(node.module.replace("qgis.PyQt", BINDING))
            for name in (one.name for one in node.names):
                count += 1
                if hasattr(module, name):
                    known[name] = getattr(module, name)
                elif not any(node in ast.walk(one) for one in attempts):
                    wrong.append(f"{file.name}:{node.lineno}: {node.module}.{name}")
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                parts = ast.unparse(node).split(".")
                # What a call gives is no name.
                if parts[0] not in known or not all(part.isidentifier() for part in parts):
                    continue
                count += 1
                found = known[parts[0]]
                for part in parts[1:]:
                    found = getattr(found, part, None)
                if found is None:
                    wrong.append(f"{file.name}:{node.lineno}: {'.'.join(parts)}")
    return count, wrong


# ---------------------------------------------------------------- QGIS


class Kind(type):
    """A class whose attributes are there as soon as they are named: enums with their members."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(cls, name, Kind(name, (Thing,), {}))
        return getattr(cls, name)


class Thing(metaclass=Kind):
    """Takes everything and gives more of its kind."""

    def __init__(self, *given, **named):
        self.given = given

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: Thing()

    def __or__(self, other):
        return self


class Module(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, Kind(name, (Thing,), {}))
        return getattr(self, name)


class Rectangle:
    def __init__(self, *sides):
        if len(sides) == 1:
            sides = sides[0].sides
        self.sides = west, south, east, north = sides
        self.xMinimum, self.yMinimum, self.xMaximum, self.yMaximum = (lambda side=side: side for side in sides)
        middle = types.SimpleNamespace(x=lambda: (west + east) / 2, y=lambda: (south + north) / 2)
        self.center = lambda: middle

    def isNull(self):
        return False

    def isEmpty(self):
        return False


class System(Thing):
    def authid(self):
        return self.given[0] if self.given else ""

    def isValid(self):
        return bool(self.given)


class Transform(Thing):
    """Between systems that are one."""

    def transform(self, point):
        return point

    def transformBoundingBox(self, box):
        return box


class Layer(Thing):
    def __init__(self, name="image", *_):
        self.label, self.shown = str(name), 1.0

    def name(self):
        return self.label

    id = source = name

    def providerType(self):
        return "gdal"

    def isValid(self):
        return True

    def opacity(self):
        return self.shown

    def setOpacity(self, share):
        self.shown = share


class Project(QtCore.QObject):
    layersAdded, layersRemoved = signal(list), signal(list)
    readProject, cleared, homePathChanged, projectSaved = signal(), signal(), signal(), signal()
    layers = {}

    @staticmethod
    def instance():
        return PROJECT

    def homePath(self):
        return ""

    def mapLayers(self):
        return self.layers

    def mapLayer(self, name):
        return self.layers.get(name)

    def addMapLayer(self, layer):
        self.layers[layer.id()] = layer

    def layerTreeRoot(self):
        return types.SimpleNamespace(findLayers=lambda: [])


class Feedback(QtCore.QObject):
    def __init__(self):
        super().__init__()
        self.ended = False

    def cancel(self):
        self.ended = True

    def isCanceled(self):
        return self.ended

    def pushInfo(self, text):
        """Shown by QGIS."""

    reportError = pushWarning = pushDebugInfo = pushCommandInfo = setProgress = lambda self, *_: None


class Task(QtCore.QObject):
    executed, progressChanged = signal(bool, dict), signal(float)
    cancel = lambda self: self.executed.emit(False, {})  # noqa: E731

    def __init__(self, algorithm, parameters, context, feedback):
        super().__init__()
        self.parameters = parameters


class Algorithm(Thing):
    def __init__(self, *_):
        self.parameters = []

    def addParameter(self, parameter):
        self.parameters.append(parameter)
        return True


class Provider(QtCore.QObject):
    def __init__(self):
        super().__init__()
        self.algorithms = []

    def addAlgorithm(self, algorithm):
        algorithm.initAlgorithm()
        self.algorithms.append(algorithm)

    def refreshAlgorithms(self):
        self.algorithms.clear()
        self.loadAlgorithms()


class Registry(Thing):
    def addProvider(self, provider):
        provider.load()

    def removeProvider(self, provider):
        provider.unload()


class Application(Thing):
    @staticmethod
    def processingRegistry():
        return Registry()

    @staticmethod
    def prefixPath():
        return ""

    @staticmethod
    def qgisSettingsDirPath():
        return FOLDER.name

    @staticmethod
    def taskManager():
        return Thing()


class Settings(Thing):
    def value(self, name, default=None, type=None):
        return default


class Config(Thing):
    settingIcons = {}
    getSetting = addSetting = readSettings = removeSetting = staticmethod(lambda *_: "")


class Dock(QtWidgets.QDockWidget):
    def setUserVisible(self, seen):
        self.setVisible(seen)


class FileWidget(QtWidgets.QWidget):
    StorageMode = Kind("StorageMode", (Thing,), {})

    def __init__(self):
        super().__init__()
        self.line = QtWidgets.QLineEdit(self)

    def lineEdit(self):
        return self.line

    def filePath(self):
        return self.line.text()

    def setStorageMode(self, mode):
        """A folder."""


class CheckableComboBox(QtWidgets.QComboBox):
    def addItemWithCheckState(self, text, state, data):
        self.addItem(text, data)
        self.setItemData(self.count() - 1, state, Qt.ItemDataRole.CheckStateRole)
        assert isinstance(state, Qt.CheckState), state

    def checkedItemsData(self):
        return []

    def setDefaultText(self, text):
        """Shown while nothing is checked."""


class LayerComboBox(QtWidgets.QComboBox):
    layerChanged = signal(object)
    layer = None

    def currentLayer(self):
        return self.layer

    def setLayer(self, layer):
        self.layer = layer
        self.layerChanged.emit(layer)

    def setFilters(self, filters):
        """Rasters."""

    setAllowEmptyLayer = setFilters


class ExtentTool(QtCore.QObject):
    extentChanged = signal(object)

    def __init__(self, canvas):
        super().__init__()


class Iface(Thing):
    """A window of QGIS."""

    def __init__(self):
        self.window = QtWidgets.QMainWindow()
        self.canvas = Thing()

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def addToolBarIcon(self, action):
        assert isinstance(action, (QtGui if BINDING == "PyQt6" else QtWidgets).QAction)
        self.window.addToolBar("plugins").addAction(action)


def stand_in() -> None:
    """Makes the modules of QGIS."""
    for name in ("qgis", "qgis.core", "qgis.gui", "qgis.PyQt", "processing", "processing.core",
                 "processing.core.ProcessingConfig", "osgeo"):  # fmt: skip
        sys.modules[name] = Module(name)
    for name, module in (("QtCore", QtCore), ("QtGui", QtGui), ("QtWidgets", QtWidgets)):
        sys.modules[f"qgis.PyQt.{name}"] = module
    core, gui = sys.modules["qgis.core"], sys.modules["qgis.gui"]
    core.QgsProcessingException = type("QgsProcessingException", (Exception,), {})
    core.QgsCsException = type("QgsCsException", (Exception,), {})
    for kind, name in (
        (Rectangle, "Rectangle"), (System, "CoordinateReferenceSystem"), (Transform, "CoordinateTransform"),
        (Layer, "RasterLayer"), (Project, "Project"), (Feedback, "ProcessingFeedback"),
        (Task, "ProcessingAlgRunnerTask"), (Algorithm, "ProcessingAlgorithm"), (Provider, "ProcessingProvider"),
        (Application, "Application"), (Settings, "Settings"),
    ):  # fmt: skip
        setattr(core, f"Qgs{name}", kind)
    for kind, name in (
        (Dock, "DockWidget"), (FileWidget, "FileWidget"), (CheckableComboBox, "CheckableComboBox"),
        (LayerComboBox, "MapLayerComboBox"), (ExtentTool, "MapToolExtent"),
        (QtWidgets.QGroupBox, "CollapsibleGroupBox"),
    ):  # fmt: skip
        setattr(gui, f"Qgs{name}", kind)
    sys.modules["processing.core.ProcessingConfig"].ProcessingConfig = Config


# ---------------------------------------------------------------- what a user does


def models(folder: Path) -> list:
    """Those that are there of two models, of which one compares two times."""
    from skysense.core.models import Model

    made = []
    for name, task in (("first", "segmentation"), ("second", "change")):
        path = folder / name
        if path.is_dir():
            classes = ("water", "wheat")
            made.append(Model(path, name, "tiny", {"s2": ["B02"]}, {"s2": 4}, 16, classes, "MIT", 1000, task))
    return made


def close(press=None) -> None:
    """Answers the dialog that opens next."""

    def answer():
        dialog = QtWidgets.QApplication.activeModalWidget()
        if dialog is None:
            QtCore.QTimer.singleShot(20, answer)
        elif press is None:
            dialog.close()
        else:
            dialog.button(press).click()

    QtCore.QTimer.singleShot(0, answer)


def use_dock(dock) -> None:
    """Models, images and area."""
    dock.setUserVisible(True)
    QtWidgets.QApplication.processEvents()
    assert [dock.model.itemText(row) for row in range(dock.model.count())] == ["first", "second"]
    dock.model.showPopup()
    dock.model.hidePopup()
    dock.model.setCurrentText("second")
    assert dock.before.isVisibleTo(dock) and not dock.sources.earlier.isHidden()
    dock.model.setCurrentText("first")
    assert not dock.before.isVisibleTo(dock) and dock.sources.earlier.isHidden()
    PROJECT.addMapLayer(Layer("image"))
    PROJECT.layersAdded.emit([])
    dock.sources.kind.setCurrentIndex(1)
    assert dock.sources.layers.count() == 1
    assert dock.sources.parameters()["LAYERS"] == []
    dock.sources.kind.setCurrentIndex(0)
    dock._run(preview=True)
    assert dock.job is None and "area" in dock.words.text(), dock.words.text()
    dock.area.set_area(Rectangle(10.0, 59.0, 12.0, 61.0), System("EPSG:4326"))
    assert "10.0000° … 12.0000° E" in dock.area.words.text(), dock.area.words.text()
    west, east, south, north = (float(part) for part in dock.area.middle(160.0).split(" ")[0].split(","))
    assert abs((east - west) - 2 * (north - south)) < 1e-6, "square on the ground"
    close()
    dock._manage()


def use_runs(dock) -> None:
    """A run that ends in each way."""
    events = QtWidgets.QApplication.processEvents
    for box in dock.sources.kinds:
        box.setChecked(False)
    dock._run(preview=True)
    assert dock.job is None and "sensor" in dock.words.text(), dock.words.text()
    dock.sources.kinds[0].setChecked(True)
    dock._run(preview=True)
    assert dock.stop.isEnabled() and not dock.go.isEnabled()
    assert dock.job.task.parameters["START"][4] == "-" and dock.job.task.parameters["MODALITIES"] == [0]
    before = dock.words.text()
    speaker = threading.Thread(target=dock.job.feedback.pushInfo, args=("from a thread",))
    speaker.start()
    speaker.join()
    assert dock.words.text() == before, "a label was written from another thread"
    events()
    assert dock.words.text() == "from a thread"
    dock.job.task.progressChanged.emit(41.5)
    assert dock.bar.value() == 41
    dock.job.feedback.reportError("nothing was found")
    dock.job.task.executed.emit(False, {})
    assert dock.words.text() == "nothing was found" and dock.go.isEnabled()
    # Over: there is nothing to end.
    dock.job.cancel()
    for report in ("/gone.json", ""):
        dock._run(preview=False)
        dock.job.task.executed.emit(True, {"REPORT": report})
        assert "run it again" in dock.words.text() and dock.go.isEnabled(), dock.words.text()
    dock._run(preview=False)
    dock.stop.click()
    assert dock.go.isEnabled() and not dock.stop.isEnabled()


def use_compare(compare) -> None:
    """What is B no more looks as before."""
    one, two, three = (Layer(name) for name in ("one", "two", "three"))
    for layer in (one, two, three):
        PROJECT.addMapLayer(layer)
    compare.offer(one)
    compare.offer(two)
    compare.slider.setValue(30)
    assert (one.shown, two.shown) == (1.0, 0.3)
    compare.offer(three)
    assert (one.shown, two.shown, three.shown) == (1.0, 1.0, 0.3)


def use_models(window) -> None:
    """Cards, a check, and a model that goes."""
    from skysense import session
    from skysense.core import binary
    from skysense.dock.models_dialog import ModelsDialog

    dialog = ModelsDialog(window)
    dialog.show()
    dialog.list.setCurrentRow(2)
    assert "half" in dialog.list.item(2).text() and "&lt;early&gt;" in dialog.about.text()
    assert not any(button.isEnabled() for button in dialog.actions)
    dialog.list.setCurrentRow(0)
    assert dialog.list.count() == 3 and "MIT" in dialog.about.text()
    assert "card of a model" in dialog.card.toPlainText()
    close()
    dialog._check()
    told = session.model

    def gone(*_):
        raise binary.Missing("no command")

    session.model = gone
    close()
    dialog._check()
    dialog._show()
    assert dialog.card.toPlainText() == "no command"
    session.model = told
    folder = dialog._chosen().path
    for answer, there in (("No", True), ("Yes", False)):
        close(getattr(QtWidgets.QMessageBox.StandardButton, answer))
        dialog._remove()
        assert folder.is_dir() == there, answer
    dialog.close()


def use_results() -> None:
    """Dates and colours of results."""
    from skysense.algorithms import parameters, results

    class Times(Thing):
        def setFixedTemporalRange(self, span):
            self.start, self.end = span.given

    times = Times()
    layer = types.SimpleNamespace(temporalProperties=lambda: times)
    interval = ("2021-05-03T00:00:00Z", "2021-07-22T10:20:30Z")
    results._dates(layer, types.SimpleNamespace(interval=interval))
    assert times.end.toUTC().toString("yyyy-MM-ddTHH:mm:ss") == "2021-07-22T10:20:30"
    assert parameters.date_parameter("DAY", "day", "2021-05-03").given[:2] == ("DAY", "day")


def use_forms() -> None:
    """A form with fields of every kind; catalogs are told by where they are."""
    from skysense import settings
    from skysense.algorithms import parameters, values
    from skysense.algorithms.workflow import WorkflowAlgorithm
    from skysense.core import fields
    from skysense.core.workflows import Param, Workflow

    home = Path(FOLDER.name)
    (home / "mine.json").write_text("{}")
    settings.text = lambda name: "https://public"
    catalog, table = (("stac.search", "/href"),), (("join.table", "/href"),)
    params = [
        Param("search", "uri", "mine.json", fills=catalog), Param("gone", "uri", "data/gone.json", fills=catalog),
        Param("url", "uri", "https://mine", fills=catalog), Param("set", "uri", "${env:CATALOG}", fills=catalog),
        Param("table", "uri", "gone.json", fills=table), Param("none", "uri", "", fills=table),
        Param("near", "model", "second"), Param("known", "model", "other"), Param("word", "string", "${env:WORD}"),
    ]  # fmt: skip
    made = parameters.parameters_of(fields.fields(tuple(params)), home)
    shown = [parameter.given[2] for parameter in made]
    assert shown == [str(home / "mine.json"), "https://public", "https://mine", "https://public", None, None,
                     str(home / "second"), "other", None], shown  # fmt: skip
    params += [Param(f"p{place}", kind) for place, kind in enumerate(
        ("string", "path", "model", "number", "integer", "boolean", "datetime", "bbox", "enum"))]  # fmt: skip
    file = (("raster.files", "/files/0/href"),)
    params += [
        Param("image", "path", fills=file), Param("red", "integer", fills=(("raster.files", "/files/0/bands/B04"),)),
        Param("area", "path", fills=(("stac.search", "/area"),)),
        Param("crs", "string", fills=(("raster.chips", "/crs"),)),
        Param("when", "datetime", "2021-03-01/2021-10-31", fills=(("stac.search", "/datetime"),)),
        Param("out", "path", fills=(("data.write", "/href"),)),
        Param("page", "path", "evaluation.html", fills=(("skysense.evaluate", "/out"),)),
    ]  # fmt: skip
    algorithm = WorkflowAlgorithm(Workflow(home / "w.yaml", "user_w", "Yours", "all of them", "", tuple(params)))
    algorithm.initAlgorithm()
    # An interval has two fields, and whether results are loaded is one more.
    assert len(algorithm.parameters) == len(params) + 2
    assert (
        {field.kind for field in algorithm.fields}
        == {*parameters._MAKERS, *parameters._AT_HOME}
        == set(values._READERS)
    )


def main() -> None:
    """All of it."""
    count, wrong = resolved()
    stand_in()
    sys.path.insert(0, str(PLUGIN.parent))
    from skysense import session
    from skysense.plugin import SkySensePlugin

    for name in ("first", "second"):
        Path(FOLDER.name, name).mkdir()
    session.models = lambda: models(Path(FOLDER.name))
    session.broken_models = lambda: [("/m/half", "model.yaml ends <early>")]
    session.model = lambda *_: {"card": "# card of a model\n\n| a | b |\n|---|---|\n| 1 | 2 |"}
    session.describe = lambda folders: ([], {})
    iface = Iface()
    plugin = SkySensePlugin(iface)
    plugin.initGui()
    forms = {algorithm.name(): len(algorithm.parameters) for algorithm in plugin.provider.algorithms}
    iface.window.show()
    plugin.action.setChecked(True)
    dock = plugin.dock
    use_dock(dock)
    use_runs(dock)
    use_compare(dock.compare)
    use_models(iface.window)
    use_results()
    use_forms()
    dock._run(preview=True)
    ended = dock.job.feedback
    plugin.unload()
    QtWidgets.QApplication.processEvents()
    assert ended.isCanceled(), "what runs ends with the plugin"
    print(json.dumps({"qt": QtCore.QT_VERSION_STR, "names": count, "wrong": wrong, "forms": forms}))


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # What goes wrong in a slot ends the test.
    sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))
    APPLICATION = QtWidgets.QApplication([])
    FOLDER = tempfile.TemporaryDirectory()
    PROJECT = Project()
    main()
