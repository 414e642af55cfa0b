"""Results as layers: legend, metadata and dates come from the item beside each raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsContrastEnhancement,
    QgsDateTimeRange,
    QgsFillSymbol,
    QgsLayerMetadata,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsSingleBandGrayRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt
from qgis.PyQt.QtGui import QColor

from ..core.items import CLASSES, OBJECTS, SHARES, Result, results

# QGIS does not own post processors: those of layers that are still to come are kept here.
_waiting: list[QgsProcessingLayerPostProcessorInterface] = []


def outputs_of(report: dict[str, Any]) -> list[Result]:
    """The rasters and outlines that a run wrote."""
    return results(report.get("outputs") or [])


def load(found: list[Result], context: QgsProcessingContext) -> None:
    """Has the results loaded with style and metadata when the algorithm is done."""
    if context.project() is None:
        return
    for result in found:
        details = QgsProcessingContext.LayerDetails(result.title, context.project(), result.title)
        hint = QgsProcessingUtils.LayerHint
        details.layerTypeHint = hint.Vector if result.style == OBJECTS else hint.Raster
        post = _Styler(result)
        _waiting.append(post)
        details.setPostProcessor(post)
        context.addLayerToLoadOnCompletion(str(result.file), details)


def layer_of(result: Result, name: str) -> QgsMapLayer:
    """A layer with all that is known of the result."""
    is_vector = result.style == OBJECTS
    layer = QgsVectorLayer(str(result.file), name, "ogr") if is_vector else QgsRasterLayer(str(result.file), name)
    if layer.isValid():
        dress(layer, result)
    return layer


def dress(layer: QgsMapLayer, result: Result) -> None:
    """Gives a layer its legend, metadata and dates."""
    if isinstance(layer, QgsVectorLayer):
        layer.setRenderer(_outlines(result))
    elif result.style == CLASSES:
        classes = [
            QgsPalettedRasterRenderer.Class(entry.value, QColor(f"#{entry.color}"), entry.name)
            for entry in result.classes
        ]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    elif result.style == SHARES and layer.bandCount() == 1:
        layer.setRenderer(_gray(layer))
    if isinstance(layer, QgsRasterLayer):
        _dates(layer, result)
    _metadata(layer, result)
    layer.triggerRepaint()


class _Styler(QgsProcessingLayerPostProcessorInterface):
    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result

    def postProcessLayer(self, layer, context, feedback) -> None:
        if isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
            dress(layer, self.result)
        if self in _waiting:
            _waiting.remove(self)


def _outlines(result: Result) -> QgsCategorizedSymbolRenderer:
    """Outlines in the colours of their classes; what they enclose stays in sight."""
    categories = []
    for entry in result.classes:
        look = {"color": "0,0,0,0", "outline_color": f"#{entry.color}", "outline_width": "0.6"}
        categories.append(QgsRendererCategory(entry.name, QgsFillSymbol.createSimple(look), entry.name))
    return QgsCategorizedSymbolRenderer("class", categories)


def _gray(layer: QgsRasterLayer) -> QgsSingleBandGrayRenderer:
    """Shares from 0 to 1, black to white."""
    provider = layer.dataProvider()
    enhancement = QgsContrastEnhancement(provider.dataType(1))
    enhancement.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    enhancement.setMinimumValue(0.0)
    enhancement.setMaximumValue(1.0)
    renderer = QgsSingleBandGrayRenderer(provider, 1)
    renderer.setContrastEnhancement(enhancement)
    return renderer


def _dates(layer: QgsRasterLayer, result: Result) -> None:
    start, end = (QDateTime.fromString(text, Qt.DateFormat.ISODate) for text in result.interval)
    if start.isValid() and end.isValid():
        temporal = layer.temporalProperties()
        temporal.setIsActive(True)
        temporal.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
        temporal.setFixedTemporalRange(QgsDateTimeRange(start, end))
        # A map of a season stays in view while the temporal controller is off.


def _metadata(layer: QgsMapLayer, result: Result) -> None:
    metadata: QgsLayerMetadata = layer.metadata()
    item = result.item or {}
    metadata.setType("dataset")
    metadata.setIdentifier(str(item.get("id", result.file.stem)))
    metadata.setTitle(result.title)
    facts = "\n".join(f"{name}: {value}" for name, value in result.facts.items())
    metadata.setAbstract("\n\n".join(part for part in (result.lineage, facts) if part))
    metadata.setHistory(result.history)
    licence = result.facts.get("skysense:model_licence")
    if licence:
        metadata.setLicenses([licence])
    links = []
    for name, href in result.sources:
        url = href if "://" in href else (result.file.parent / href).resolve().as_uri()
        links.append(QgsLayerMetadata.Link(name, "derived_from", url))
    metadata.setLinks(links)
    metadata.setCrs(layer.crs())
    layer.setMetadata(metadata)


def first(found: list[Result], *assets: str) -> str:
    """The first raster, of these assets where one is of them; empty where there is none."""
    for result in found:
        if result.asset in assets:
            return str(result.file)
    return str(found[0].file) if found else ""


def item_file(report: dict[str, Any]) -> str:
    """The item that a run wrote."""
    return next((output["href"] for output in report.get("outputs") or [] if output.get("role") == "item"), "")


def collection_name(folder: str, fallback: str) -> str:
    """An id for a collection, of the folder that it is written to."""
    name = "".join(char if char.isalnum() or char in "-_" else "-" for char in Path(folder).name).strip("-")
    return name or fallback
