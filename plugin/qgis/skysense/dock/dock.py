"""The dock itself: from an area to a map in one place."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qgis.core import QgsProcessingException, QgsProject, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsDockWidget, QgsFileWidget
from qgis.PyQt.QtCore import QDate, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDateEdit,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .. import session
from ..algorithms.applying import MODEL, OUTPUT
from ..algorithms.images import EARLIER, END, EXTENT, START
from ..algorithms.parameters import LOAD
from ..core import binary
from ..core.models import Model, titles
from ..core.words import tr
from .area import AreaPicker
from .compare import Compare
from .models_dialog import ModelsDialog
from .sources import SourcePicker
from .task import Job

DAY = "yyyy-MM-dd"
# Chips of a preview on each side, and metres of a pixel.
PREVIEW_CHIPS, PIXEL = 1, 10.0


class ModelBox(QComboBox):
    """A list that says when it is about to open."""

    opens = pyqtSignal()

    def showPopup(self) -> None:
        self.opens.emit()
        super().showPopup()


class SkySenseDock(QgsDockWidget):
    """Area, dates, sensors, model; preview, run, compare."""

    def __init__(self, iface, provider) -> None:
        super().__init__("SkySense", iface.mainWindow())
        self.setObjectName("SkySenseDock")
        self.iface, self.provider = iface, provider
        self.models: list[Model] = []
        self.job: Job | None = None
        self.area = AreaPicker(iface.mapCanvas())
        self.sources = SourcePicker()
        self.start, self.end = self._date(-365), self._date(0)
        self.before_start, self.before_end = self._date(-730), self._date(-366)
        self.model = ModelBox()
        self.model.opens.connect(self.refresh_models)
        self.model.currentIndexChanged.connect(self._about_model)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.folder = QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.lineEdit().setPlaceholderText(tr("temporary folder"))
        self.preview = QPushButton(tr("Preview one chip"))
        self.preview.clicked.connect(lambda: self._run(preview=True))
        self.go = QPushButton(tr("Run"))
        self.go.clicked.connect(lambda: self._run(preview=False))
        self.stop = QPushButton(tr("Cancel"))
        self.stop.clicked.connect(lambda: self.job and self.job.cancel())
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # A path is one long word: it must not make the dock wider than the user wants it.
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.compare = Compare()
        self.setWidget(self._layout())
        self._busy(False)
        self.refresh_models()
        # Models come with projects and by training, too.
        self.visibilityChanged.connect(lambda seen: seen and self.refresh_models())

    def _date(self, days: int) -> QDateEdit:
        edit = QDateEdit(QDate.currentDate().addDays(days))
        edit.setCalendarPopup(True)
        edit.setDisplayFormat(DAY)
        return edit

    def _layout(self) -> QWidget:
        page = QWidget()
        rows = QVBoxLayout(page)
        models = QHBoxLayout()
        models.addWidget(self.model, 1)
        manage = QToolButton()
        manage.setText("…")
        manage.setToolTip(tr("Models: cards, licences, add and remove"))
        manage.clicked.connect(self._manage)
        models.addWidget(manage)
        where = QFormLayout()
        where.addRow(tr("Area"), self.area)
        where.addRow(tr("Dates"), self._interval(self.start, self.end))
        # Of use for models that compare two times alone.
        self.before = self._interval(self.before_start, self.before_end)
        self.before_title = QLabel(tr("Before"))
        where.addRow(self.before_title, self.before)
        for title, content in (
            (tr("1  Where and when"), where),
            (tr("2  Images"), self._form([(None, self.sources)])),
            (tr("3  Model"), self._form([(None, models), (None, self.about)])),
            (tr("4  Result"), self._form([(tr("Folder"), self.folder)])),
        ):
            group = QgsCollapsibleGroupBox(title)
            group.setLayout(content)
            rows.addWidget(group)
        buttons = QHBoxLayout()
        for button in (self.preview, self.go, self.stop):
            buttons.addWidget(button)
        rows.addLayout(buttons)
        rows.addWidget(self.bar)
        rows.addWidget(self.words)
        group = QgsCollapsibleGroupBox(tr("Compare two results"))
        group.setLayout(self._form([(None, self.compare)]))
        rows.addWidget(group)
        rows.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        scroll.setMinimumWidth(page.minimumSizeHint().width() + scroll.verticalScrollBar().sizeHint().width())
        return scroll

    @staticmethod
    def _interval(start: QDateEdit, end: QDateEdit) -> QWidget:
        both = QWidget()
        line = QHBoxLayout(both)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(start, 1)
        line.addWidget(QLabel("–"))
        line.addWidget(end, 1)
        return both

    @staticmethod
    def _form(rows) -> QFormLayout:
        form = QFormLayout()
        for words, content in rows:
            if words:
                form.addRow(words, content)
            else:
                form.addRow(content)
        return form

    def refresh_models(self) -> None:
        """Lists the models that there are; where the command is missing, says how to get it."""
        chosen = self.model.currentText()
        self.model.clear()
        try:
            self.models = session.models()
        except (binary.Missing, QgsProcessingException) as error:
            self.models = []
            self._say(str(error))
        self.model.addItems(titles(self.models))
        if chosen:
            self.model.setCurrentText(chosen)
        self._about_model()

    def _about_model(self, *_) -> None:
        model = self._chosen()
        compares = model is not None and model.algorithm == "change"
        for widget in (self.before, self.before_title):
            widget.setVisible(compares)
        self.sources.show_earlier(compares)
        if model is None:
            self.about.setText(tr("No model yet: “…” adds one, “Train a model on labels” makes one."))
        else:
            self.about.setText(f"{model.summary}<br>{tr('Licence: {licence}', licence=model.licence)}")

    def _chosen(self) -> Model | None:
        row = self.model.currentIndex()
        return self.models[row] if 0 <= row < len(self.models) else None

    def _manage(self, *_) -> None:
        ModelsDialog(self).exec()
        self.refresh_models()

    def _run(self, preview: bool) -> None:
        model = self._chosen()
        if model is None:
            self._say(tr("No model is chosen. What to do: add one with “…”."))
            return
        if not self.area.text():
            self._say(tr("No area is chosen. What to do: draw it on the map, or take the view of the map."))
            return
        if self.sources.lacks_sensors():
            self._say(tr("No sensor is chosen. What to do: choose one or more under “Images”."))
            return
        title = tr("preview") if preview else model.name
        side = model.chip_size * PIXEL * PREVIEW_CHIPS
        parameters = {
            **self.sources.parameters(),
            EXTENT: self.area.middle(side) if preview else self.area.text(),
            START: self.start.date().toString(DAY),
            END: self.end.date().toString(DAY),
            MODEL: str(model.path),
            OUTPUT: self._output(title, temporary=preview),
            LOAD: False,
        }
        if model.algorithm == "change":
            parameters[EARLIER.start] = self.before_start.date().toString(DAY)
            parameters[EARLIER.end] = self.before_end.date().toString(DAY)
        self.job = Job(f"skysense:{model.algorithm}", parameters, title=title, on_line=self._say, on_done=self._done)
        self.job.task.progressChanged.connect(self._advance)
        self._busy(True)
        self._say(tr("reading images and running {name}", name=model.name))
        self.job.start()

    def _output(self, title: str, temporary: bool) -> str:
        chosen = self.folder.filePath()
        if chosen and not temporary:
            return chosen
        name = "".join(char if char.isalnum() else "-" for char in title)
        return str(Path(tempfile.mkdtemp(prefix="skysense-")) / name)

    def _done(self, layers, error: str) -> None:
        self._busy(False)
        for layer in layers:
            QgsProject.instance().addMapLayer(layer)
        if layers:
            if isinstance(layers[0], QgsRasterLayer):
                self.compare.offer(layers[0])
            # A path may break at its folders.
            self._say(tr("done: {file}", file=layers[0].source().replace("/", "/\u200b")))
        else:
            self._say(error or tr("The run gave no layer; the log under Processing says more."))

    def _busy(self, busy: bool) -> None:
        for widget in (self.preview, self.go):
            widget.setEnabled(not busy)
        self.stop.setEnabled(busy)
        self.bar.setVisible(busy)
        self.bar.setValue(0)

    def _advance(self, percent: float) -> None:
        self.bar.setValue(int(percent))

    def _say(self, text: str) -> None:
        self.words.setText(text)

    def close_down(self) -> None:
        """Ends what runs, and takes what it drew off the canvas."""
        if self.job is not None:
            self.job.leave()
        self.sources.let_go()
        self.area.remove()
