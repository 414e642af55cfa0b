"""Polygons with classes or numbers as a label raster, by GDAL."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from osgeo import gdal, ogr, osr
from qgis.core import (
    NULL,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsVectorLayer,
)

from ..core import classes
from ..core.words import tr
from .layers import to_degrees

NODATA = 0
MOST_PIXELS = 2**31


def burn(layer: QgsVectorLayer, field: str, file: Path, resolution: float, context: QgsProcessingContext):
    """Writes the labels in the UTM zone of the layer; gives the classes."""
    target = _zone(layer, context)
    shapes = [(_word(value), geometry) for value, geometry in _shapes(layer, field, target, context)]
    try:
        found = classes.of_values([name for name, _ in shapes])
    except classes.ClassesError as error:
        raise QgsProcessingException(str(error)) from error
    values = {name: value for value, name, _ in found}
    burnt = [(values[name], geometry) for name, geometry in shapes]
    _write(burnt, target, resolution, file, (gdal.GDT_Byte, NODATA))
    colors = _colors(layer, field)
    return [(value, name, colors.get(name, color)) for value, name, color in found]


def burn_numbers(
    layer: QgsVectorLayer, field: str, file: Path, resolution: float, context: QgsProcessingContext
) -> None:
    """Writes the numbers of a field in the UTM zone of the layer."""
    target = _zone(layer, context)
    shapes = _shapes(layer, field, target, context)
    try:
        numbers = [(float(value), geometry) for value, geometry in shapes]
    except (TypeError, ValueError) as error:
        raise QgsProcessingException(
            tr(
                "The field “{field}” of “{layer}” holds words. What to do: choose a field with numbers.",
                field=field,
                layer=layer.name(),
            )  # fmt: skip
        ) from error
    if not numbers:
        raise QgsProcessingException(
            tr("The label layer has no value in this field. What to do: choose the field with the numbers.")
        )
    _write(numbers, target, resolution, file, (gdal.GDT_Float32, math.nan))


def _shapes(layer: QgsVectorLayer, field: str, target, context: QgsProcessingContext) -> list[tuple[Any, QgsGeometry]]:
    """What a field says of each polygon that it says something of."""
    if layer.fields().indexOf(field) < 0:
        known = ", ".join(one.name() for one in layer.fields())
        raise QgsProcessingException(
            tr("“{layer}” has no field “{field}”; it has {known}.", layer=layer.name(), field=field, known=known)
        )
    transform = QgsCoordinateTransform(layer.crs(), target, context.transformContext())
    shapes = []
    for feature in layer.getFeatures():
        value = feature[field]
        if value is None or value == NULL or not feature.hasGeometry():
            continue
        geometry = QgsGeometry(feature.geometry())
        geometry.transform(transform)
        shapes.append((value, geometry))
    return shapes


def _word(value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _zone(layer: QgsVectorLayer, context: QgsProcessingContext) -> QgsCoordinateReferenceSystem:
    """The UTM zone of the layer's middle."""
    center = to_degrees(layer, context.transformContext()).transform(layer.extent().center())
    zone = min(60, int((center.x() + 180) // 6) + 1)
    return QgsCoordinateReferenceSystem(f"EPSG:{(32600 if center.y() >= 0 else 32700) + zone}")


def _write(shapes, target, resolution: float, file: Path, stored: tuple[int, float]) -> None:
    """Pixels of a type, with a value where no polygon is."""
    west, south, east, north = _bounds([geometry for _, geometry in shapes], resolution)
    width, height = round((east - west) / resolution), round((north - south) / resolution)
    if width * height > MOST_PIXELS:
        text = tr("The polygons reach over {width} × {height} pixels. What to do: choose fewer, or larger pixels.",
                  width=width, height=height)  # fmt: skip
        raise QgsProcessingException(text)
    reference = osr.SpatialReference()
    reference.ImportFromWkt(target.toWkt())
    options = ["COMPRESS=DEFLATE", "TILED=YES"]
    raster = gdal.GetDriverByName("GTiff").Create(str(file), width, height, 1, stored[0], options)
    if raster is None:
        raise QgsProcessingException(tr("{file} cannot be written: {why}", file=file, why=gdal.GetLastErrorMsg()))
    raster.SetGeoTransform((west, resolution, 0, north, 0, -resolution))
    raster.SetProjection(reference.ExportToWkt())
    raster.GetRasterBand(1).SetNoDataValue(stored[1])
    raster.GetRasterBand(1).Fill(stored[1])
    # One driver is both from GDAL 3.11 on.
    memory = (ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")).CreateDataSource("labels")
    polygons = memory.CreateLayer("labels", reference)
    polygons.CreateField(ogr.FieldDefn("value", ogr.OFTReal))
    for value, geometry in shapes:
        feature = ogr.Feature(polygons.GetLayerDefn())
        feature.SetField("value", value)
        feature.SetGeometry(ogr.CreateGeometryFromWkb(bytes(geometry.asWkb())))
        polygons.CreateFeature(feature)
    gdal.RasterizeLayer(raster, [1], polygons, options=["ATTRIBUTE=value"])
    raster.FlushCache()


def _bounds(geometries: list[QgsGeometry], resolution: float) -> tuple[float, float, float, float]:
    """What all of them cover, out to whole pixels."""
    boxes = [geometry.boundingBox() for geometry in geometries]
    down = lambda value: math.floor(value / resolution) * resolution  # noqa: E731
    up = lambda value: math.ceil(value / resolution) * resolution  # noqa: E731
    return (
        down(min(box.xMinimum() for box in boxes)),
        down(min(box.yMinimum() for box in boxes)),
        up(max(box.xMaximum() for box in boxes)),
        up(max(box.yMaximum() for box in boxes)),
    )


def _colors(layer: QgsVectorLayer, field: str) -> dict[str, str]:
    """The colours that the layer shows its classes in."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer) or renderer.classAttribute().strip('"') != field:
        return {}
    return {_word(one.value()): one.symbol().color().name().lstrip("#") for one in renderer.categories()}
