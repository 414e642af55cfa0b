"""Two results over each other: the slider says how much of the upper one is seen."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QSlider, QWidget


class Compare(QWidget):
    """Two layers and a slider."""

    def __init__(self) -> None:
        super().__init__()
        # Of the layer that is B: its id and what its opacity was.
        self.faded = ("", 1.0)
        self.lower, self.upper = QgsMapLayerComboBox(), QgsMapLayerComboBox()
        for box in (self.lower, self.upper):
            box.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
            box.setAllowEmptyLayer(True)
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setCurrentIndex(0)
            box.layerChanged.connect(self._chosen)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setValue(100)
        self.slider.valueChanged.connect(self._blend)
        line = QHBoxLayout()
        line.addWidget(QLabel("A"))
        line.addWidget(self.slider)
        line.addWidget(QLabel("B"))
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("A", self.lower)
        form.addRow("B", self.upper)
        form.addRow(line)

    def offer(self, layer: QgsRasterLayer) -> None:
        """A new result becomes B, what was B becomes A."""
        before = self.upper.currentLayer()
        if before is not None:
            self.lower.setLayer(before)
        self.upper.setLayer(layer)

    def _chosen(self, *_) -> None:
        lower, upper = self._both()
        if lower is not None and upper is not None:
            _stack(lower, upper)
        self._blend()

    def _both(self):
        """Both layers; none where there are no two."""
        lower, upper = self.lower.currentLayer(), self.upper.currentLayer()
        return (None, None) if lower is None or upper is None or lower == upper else (lower, upper)

    def _blend(self, *_) -> None:
        _, upper = self._both()
        name = "" if upper is None else upper.id()
        if name != self.faded[0]:
            # Who is B no more looks as before.
            before = QgsProject.instance().mapLayer(self.faded[0])
            if before is not None:
                before.setOpacity(self.faded[1])
                before.triggerRepaint()
            self.faded = (name, 1.0 if upper is None else upper.opacity())
        if upper is not None:
            upper.setOpacity(self.slider.value() / 100.0)
            upper.triggerRepaint()


def _stack(lower: QgsRasterLayer, upper: QgsRasterLayer) -> None:
    """B has to lie above A to be seen, and both have to be in view."""
    root = QgsProject.instance().layerTreeRoot()
    order = [node.layerId() for node in root.findLayers()]
    if lower.id() in order and upper.id() in order and order.index(upper.id()) > order.index(lower.id()):
        node = root.findLayer(upper.id())
        copy = node.clone()
        below = root.findLayer(lower.id())
        parent = below.parent()
        parent.insertChildNode(parent.children().index(below), copy)
        node.parent().removeChildNode(node)
    for name in {lower.id(), upper.id()} & set(order):
        root.findLayer(name).setItemVisibilityCheckedParentRecursive(True)
