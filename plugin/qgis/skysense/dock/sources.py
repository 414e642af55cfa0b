"""The images of the dock: layers of the project, or a catalog."""

from __future__ import annotations

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsCheckableComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from .. import settings
from ..algorithms.images import (
    BANDS,
    CATALOG,
    COLLECTIONS,
    DATES,
    EARLIER,
    LAYERS,
    MODALITIES,
    MODALITY,
    RADIO,
    RADIOMETRY,
    SENSOR,
    SENSORS,
)
from ..core.words import tr


class SourcePicker(QWidget):
    """Where images come from."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = QComboBox()
        self.kind.addItems([tr("STAC catalog or API"), tr("Layers of this project")])
        self.pages = QStackedWidget()
        self.pages.addWidget(self._catalog_page())
        self.pages.addWidget(self._layers_page())
        self.kind.currentIndexChanged.connect(self._turn)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(self.kind)
        form.addRow(self.pages)
        QgsProject.instance().layersAdded.connect(self.refresh)
        QgsProject.instance().layersRemoved.connect(self.refresh)
        self.refresh()
        self._turn(0)

    def _catalog_page(self) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        self.catalog = QLineEdit(settings.text(settings.CATALOG))
        self.catalog.setCursorPosition(0)
        self.catalog.setToolTip(tr("Path or URL of a STAC catalog, collection or API"))
        self.collections = QLineEdit("sentinel-2-l2a")
        self.collections.setToolTip(tr("Collections, with commas between; empty: all"))
        form.addRow(tr("Catalog"), self.catalog)
        form.addRow(tr("Collections"), self.collections)
        kinds = QVBoxLayout()
        kinds.setSpacing(2)
        self.kinds = []
        for _, words in MODALITIES:
            box = QCheckBox(tr(words))
            box.setChecked(True)
            self.kinds.append(box)
            kinds.addWidget(box)
        form.addRow(tr("Sensors"), kinds)
        return page

    def _layers_page(self) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        self.layers, self.earlier = QgsCheckableComboBox(), QgsCheckableComboBox()
        for box in (self.layers, self.earlier):
            box.setDefaultText(tr("choose layers"))
        self.earlier_title = QLabel(tr("Before"))
        self.sensor, self.numbers = _narrow(SENSORS), _narrow(RADIOMETRY)
        self.bands = QLineEdit()
        self.bands.setPlaceholderText(tr("by their names"))
        self.dates = QLineEdit()
        self.dates.setPlaceholderText(tr("by their names"))
        form.addRow(tr("Layers"), self.layers)
        form.addRow(self.earlier_title, self.earlier)
        form.addRow(tr("Sensor"), self.sensor)
        form.addRow(tr("Numbers"), self.numbers)
        form.addRow(tr("Bands"), self.bands)
        form.addRow(tr("Dates"), self.dates)
        return page

    def _turn(self, page: int) -> None:
        self.pages.setCurrentIndex(page)
        # The page in view alone decides the height.
        for index in range(self.pages.count()):
            policy = self.pages.widget(index).sizePolicy()
            shown = index == page
            vertical = policy.Policy.Preferred if shown else policy.Policy.Ignored
            self.pages.widget(index).setSizePolicy(policy.horizontalPolicy(), vertical)
        self.pages.adjustSize()

    def show_earlier(self, shown: bool) -> None:
        """Whether layers of an earlier time are asked for."""
        self.earlier.setVisible(shown)
        self.earlier_title.setVisible(shown)

    def refresh(self, *_) -> None:
        """Lists the raster layers that there are now."""
        for box in (self.layers, self.earlier):
            chosen = set(_chosen(box))
            box.clear()
            for layer in QgsProject.instance().mapLayers().values():
                if isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal":
                    state = Qt.CheckState.Checked if layer.id() in chosen else Qt.CheckState.Unchecked
                    box.addItemWithCheckState(layer.name(), state, layer.id())

    def parameters(self) -> dict:
        """Parameters of the algorithms."""
        if self.kind.currentIndex() == 1:
            return {
                LAYERS: _chosen(self.layers),
                EARLIER.layers: _chosen(self.earlier) if self.earlier.isVisibleTo(self) else [],
                SENSOR: self.sensor.currentIndex(),
                RADIO: self.numbers.currentIndex(),
                BANDS: self.bands.text(),
                DATES: self.dates.text(),
            }
        kinds = [index for index, box in enumerate(self.kinds) if box.isChecked()]
        given = {CATALOG: self.catalog.text(), COLLECTIONS: self.collections.text()}
        return given if len(kinds) == len(self.kinds) else {**given, MODALITY: kinds}

    def lacks_sensors(self) -> bool:
        """Whether a catalog would be searched for no kind of images, which Processing takes for all of them."""
        return self.kind.currentIndex() == 0 and not any(box.isChecked() for box in self.kinds)

    def let_go(self) -> None:
        """Stops following the project."""
        QgsProject.instance().layersAdded.disconnect(self.refresh)
        QgsProject.instance().layersRemoved.disconnect(self.refresh)


def _chosen(box: QgsCheckableComboBox) -> list[str]:
    return [str(one) for one in box.checkedItemsData()]


def _narrow(options) -> QComboBox:
    """A choice that is no wider than the dock."""
    box = QComboBox()
    box.addItems([tr(words) for _, words in options])
    box.setMinimumContentsLength(12)
    box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return box
