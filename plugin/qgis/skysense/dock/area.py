"""The area of the dock: drawn on the canvas or that of the canvas, shown there, told in degrees."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsUnitTypes,
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
        return _text(self.box, self.crs) if self.box else ""

    def middle(self, metres: float) -> str:
        """A square of this side in the middle of the area."""
        if not self.box:
            return ""
        center, degrees = self.box.center(), self.crs.mapUnits() == QgsUnitTypes.DistanceUnit.DistanceDegrees
        half = metres / 2 / (METRES_PER_DEGREE if degrees else 1.0)
        return _text(QgsRectangle(center.x() - half, center.y() - half, center.x() + half, center.y() + half), self.crs)

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
        self.band.setToGeometry(QgsGeometry.fromRect(self.box), self.crs)
        degrees = QgsCoordinateReferenceSystem(DEGREES)
        box = QgsCoordinateTransform(self.crs, degrees, QgsProject.instance()).transformBoundingBox(self.box)
        west, south = f"{box.xMinimum():.4f}", f"{box.yMinimum():.4f}"
        east, north = f"{box.xMaximum():.4f}", f"{box.yMaximum():.4f}"
        self.words.setText(f"{west}° … {east}° E, {south}° … {north}° N")


def _text(box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
    numbers = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
    return ",".join(repr(number) for number in numbers) + f" [{crs.authid()}]"
