"""The model manager: which models there are, their cards and licences."""

from __future__ import annotations

import html
import shutil
from pathlib import Path

import processing
from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QSplitter,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from .. import icons, session, settings
from ..core import binary
from ..core.models import Model, titles
from ..core.words import tr

CARD_STYLE = "table { border-collapse: collapse } td, th { padding: 2px 8px }"


class ModelsDialog(QDialog):
    """A list of models beside the card of the one that is chosen."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Models"))
        self.setWindowIcon(icons.icon())
        self.resize(860, 560)
        self.list = QListWidget()
        self.list.currentRowChanged.connect(self._show)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.card = QTextBrowser()
        self.card.document().setDefaultStyleSheet(CARD_STYLE)
        self.models: list[Model] = []
        self.broken: list[tuple[str, str]] = []
        self.actions = []
        buttons = QHBoxLayout()
        for words, act, needs in (
            (tr("Add…"), self._add, False),
            (tr("Check"), self._check, True),
            (tr("Open folder"), self._open, True),
            (tr("Remove…"), self._remove, True),
            (tr("Refresh"), self.refresh, False),
        ):
            button = QPushButton(words)
            button.clicked.connect(act)
            buttons.addWidget(button)
            if needs:
                self.actions.append(button)
        buttons.addStretch()
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        buttons.addWidget(close)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.about)
        column.addWidget(self.card)
        split = QSplitter()
        split.addWidget(self.list)
        split.addWidget(right)
        split.setSizes([240, 620])
        rows = QVBoxLayout(self)
        rows.addWidget(split)
        rows.addLayout(buttons)
        self.refresh()

    def refresh(self, *_) -> None:
        """Reads the folders anew."""
        session.forget_models()
        try:
            self.models, self.broken = session.models(), session.broken_models()
            none = tr("No model yet. Add one: a folder with a package, or published weights. They are in {folder}.",
                      folder=settings.model_folder())  # fmt: skip
        except (binary.Missing, QgsProcessingException) as error:
            self.models, self.broken, none = [], [], str(error)
        self.list.clear()
        for title, model in zip(titles(self.models), self.models):
            item = QListWidgetItem(title)
            item.setToolTip(str(model.path))
            self.list.addItem(item)
        for path, _ in self.broken:
            self.list.addItem(tr("{name}: cannot be used", name=Path(path).name))
        if self.list.count():
            self.list.setCurrentRow(0)
        else:
            self.about.setText(none)
            self.card.clear()
        self._enable()

    def _chosen(self) -> Model | None:
        row = self.list.currentRow()
        return self.models[row] if 0 <= row < len(self.models) else None

    def _enable(self) -> None:
        for button in self.actions:
            button.setEnabled(self._chosen() is not None)

    def _show(self, *_) -> None:
        self._enable()
        model = self._chosen()
        if model is None:
            row = self.list.currentRow() - len(self.models)
            if 0 <= row < len(self.broken):
                self.about.setText("<br>".join(html.escape(text) for text in self.broken[row]))
                self.card.clear()
            return
        licence = tr("Licence of the weights: {licence}", licence=model.licence)
        size = tr("{size} MB in {folder}", size=round(model.size / 1e6, 1), folder=model.path)
        self.about.setText(f"{model.summary}<br><b>{licence}</b><br><small>{size}</small>")
        try:
            self.card.setMarkdown(session.model("card", str(model.path)).get("card", ""))
        except (binary.Missing, QgsProcessingException) as error:
            self.card.setPlainText(str(error))

    def _add(self, *_) -> None:
        processing.execAlgorithmDialog("skysense:addmodel", {})
        self.refresh()

    def _check(self, *_) -> None:
        model = self._chosen()
        if model is None:
            return
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            session.model("verify", str(model.path))
            text = tr("{name} is whole: files, weights and what it computes are those that it was made with.",
                      name=model.name)  # fmt: skip
            show = QMessageBox.information
        except (binary.Missing, QgsProcessingException) as error:
            text, show = str(error), QMessageBox.warning
        finally:
            QApplication.restoreOverrideCursor()
        show(self, tr("Check"), text)

    def _open(self, *_) -> None:
        model = self._chosen()
        if model is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(model.path)))

    def _remove(self, *_) -> None:
        model = self._chosen()
        if model is None:
            return
        question = tr("Delete the folder {folder} with this model?", folder=model.path)
        if QMessageBox.question(self, tr("Remove"), question) == QMessageBox.StandardButton.Yes:
            try:
                shutil.rmtree(model.path)
            except OSError as error:
                QMessageBox.warning(self, tr("Remove"), str(error))
            self.refresh()
