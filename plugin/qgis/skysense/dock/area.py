"""The area of the dock: drawn on the canvas or that of the canvas, shown there, told in degrees."""

from __future__ import annotations

import math

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.gui import QgsMapToolExtent, QgsRubberBand
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..core.words import tr

DEGREES = "EPSG:4326"
METRES_PER_DEGREE = 111_320.0


class AreaPicker(QWidget):
    """Two buttons and what they chose."""

    changed = pyqtSignal()

    def __init__(self, canvas) -> None:
        super().__init__()
        self.canvas = canvas
        self.box: QgsRectangle | None = None
        self.crs = QgsCoordinateReferenceSystem()
        self.tool = QgsMapToolExtent(canvas)
        self.tool.extentChanged.connect(self._drawn)
        self.band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self.band.setColor(QColor(240, 140, 46))
        self.band.setFillColor(QColor(240, 140, 46, 30))
        self.band.setWidth(2)
        draw, whole = QPushButton(tr("Draw on the map")), QPushButton(tr("Map view"))
        draw.clicked.connect(lambda: canvas.setMapTool(self.tool))
        whole.clicked.connect(lambda: self._drawn(canvas.extent()))
        self.words = QLabel(tr("no area yet"))
        self.words.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(draw)
        buttons.addWidget(whole)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(buttons)
        rows.addWidget(self.words)

    def set_area(self, box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> None:
        """Takes an area in a reference system."""
        self.box, self.crs = QgsRectangle(box), crs
        self._show()
        self.changed.emit()

    def text(self) -> str:
        """The area as parameters of Processing take it; empty where none was chosen."""
        if not self.box:
            return ""
        if self.crs.authid():
            return _text(self.box, self.crs)
        # A reference system of the user's own has no code that could be written.
        return _text(_to_degrees(self.crs).transformBoundingBox(self.box), QgsCoordinateReferenceSystem(DEGREES))

    def middle(self, metres: float) -> str:
        """A square of this side in the middle of the area."""
        if not self.box:
            return ""
        # Units of a map may be feet, and metres of a map are longer or shorter than those of the ground.
        center = _to_degrees(self.crs).transform(self.box.center())
        high = metres / 2 / METRES_PER_DEGREE
        wide = high / max(math.cos(math.radians(center.y())), 0.01)
        box = QgsRectangle(center.x() - wide, center.y() - high, center.x() + wide, center.y() + high)
        return _text(box, QgsCoordinateReferenceSystem(DEGREES))

    def remove(self) -> None:
        """Takes what it drew off the canvas."""
        self.canvas.unsetMapTool(self.tool)
        self.canvas.scene().removeItem(self.band)

    def _drawn(self, box: QgsRectangle) -> None:
        if box.isNull() or box.isEmpty():
            return
        self.canvas.unsetMapTool(self.tool)
        self.set_area(box, self.canvas.mapSettings().destinationCrs())

    def _show(self) -> None:
        try:
            box = _to_degrees(self.crs).transformBoundingBox(self.box)
            # The preview is of its middle.
            _to_degrees(self.crs).transform(self.box.center())
        except QgsCsException:
            self._refuse(tr("This area is not on the earth as a whole. What to do: choose a smaller one."))
            return
        if not self.crs.isValid():
            self._refuse(tr("The map has no reference system. What to do: choose that of the project."))
            return
        self.band.setToGeometry(QgsGeometry.fromRect(self.box), self.crs)
        west, south = f"{box.xMinimum():.4f}", f"{box.yMinimum():.4f}"
        east, north = f"{box.xMaximum():.4f}", f"{box.yMaximum():.4f}"
        self.words.setText(f"{west}° … {east}° E, {south}° … {north}° N")

    def _refuse(self, why: str) -> None:
        self.box = None
        self.band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        self.words.setText(why)


def _to_degrees(crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
    return QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem(DEGREES), QgsProject.instance())


def _text(box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
    numbers = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
    return ",".join(repr(number) for number in numbers) + f" [{crs.authid()}]"
