"""What the command needs to know of layers of QGIS: files, extents, bands, classes, dates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from .. import session, settings
from ..core import bands, classes, dates, files, models
from ..core.words import tr

DEGREES = "EPSG:4326"
# Formats that are read from a server; a file of this machine may have any that GDAL reads.
REMOTE = (".tif", ".tiff", ".gtiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg")


def raster_file(layer: QgsRasterLayer) -> tuple[str, str]:
    """The file or URL behind a layer, as the command opens it, and which raster of it, where it holds several."""
    remedy = tr("What to do: save the layer as GeoTIFF (Export > Save As) and use that.")
    if layer.providerType() != "gdal":
        raise QgsProcessingException(tr("The layer “{name}” is no file. {remedy}", name=layer.name(), remedy=remedy))
    path, subdataset = files.split(layer.source())
    if subdataset is None:
        decoded = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
        path, subdataset = decoded.get("path") or layer.source(), decoded.get("layerName") or ""
    for prefix in ("/vsicurl/", "/vsicurl_streaming/"):
        if path.startswith(prefix):
            path = path[len(prefix) :]
    if "://" in path:
        if path.split("?")[0].lower().endswith(REMOTE):
            return path, ""
        text = tr("The layer “{name}” ({path}) is not a GeoTIFF, JPEG 2000, PNG or JPEG file on a server. {remedy}",
                  name=layer.name(), path=path, remedy=remedy)  # fmt: skip
        raise QgsProcessingException(text)
    if path.startswith("/vsi") or not os.path.exists(path):
        text = tr("The layer “{name}” ({path}) is no file of its own. {remedy}",
                  name=layer.name(), path=path, remedy=remedy)  # fmt: skip
        raise QgsProcessingException(text)
    return os.path.abspath(path), subdataset


def whole_file(layer: QgsRasterLayer) -> str:
    """As `raster_file`, where a path alone has to say which raster it is."""
    path, subdataset = raster_file(layer)
    if subdataset:
        text = tr("The layer “{name}” is one of several in {path}, and the workflow takes a file. What to do: save the "
                  "layer as GeoTIFF (Export > Save As) and use that.", name=layer.name(), path=path)  # fmt: skip
        raise QgsProcessingException(text)
    return path


def band_mapping(layer: QgsRasterLayer, sensor: str) -> dict[str, int]:
    """The bands of a sensor that a file names itself."""
    known: dict[str, Any] = next((one for one in session.sensors() if one["name"] == sensor), {"bands": []})
    names = [bands.description(layer.bandName(number)) for number in range(1, layer.bandCount() + 1)]
    return bands.guess(names, known["bands"])


def taken_at(layer: QgsRasterLayer) -> str:
    """When a layer was taken: by its temporal properties, else by a date in its name."""
    temporal = layer.temporalProperties()
    if temporal.isActive():
        begin = temporal.fixedTemporalRange().begin()
        if begin.isValid():
            return begin.toString("yyyy-MM-ddTHH:mm:ss") + "Z"
    return dates.of_name(layer.name(), Path(layer.source().split("|")[0]).name)


def classes_of(layer: QgsRasterLayer) -> list[tuple[int, str, str]]:
    """The classes that a layer shows in its legend; none where it has no legend of classes."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return []
    found = []
    for entry in renderer.classes():
        value = int(entry.value)
        nodata = layer.dataProvider().sourceHasNoDataValue(1) and layer.dataProvider().sourceNoDataValue(1) == value
        if 0 <= value <= 255 and entry.color.alpha() > 0 and not nodata:
            name = entry.label if entry.label and entry.label != str(value) else tr("class {value}", value=value)
            found.append((value, name, entry.color.name().lstrip("#")))
    return found


def classes_from(layer: QgsRasterLayer, written: str) -> list[tuple[int, str, str]]:
    """The classes that the user wrote, else those of the layer's legend."""
    try:
        found = classes.parse(written)
    except classes.ClassesError as error:
        raise QgsProcessingException(str(error)) from error
    found = found or classes_of(layer)
    if not found:
        text = tr("Nobody knows what the values of “{name}” mean. What to do: style it with unique values, "
                  "or write the classes: 1=water, 2=forest.", name=layer.name())  # fmt: skip
        raise QgsProcessingException(text)
    return found


def degrees(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], name: str, context: QgsProcessingContext
) -> tuple[float, float, float, float] | None:
    """An extent as west, south, east, north; none where none is given."""
    if parameters.get(name) in (None, ""):
        return None
    box = algorithm.parameterAsExtent(parameters, name, context, QgsCoordinateReferenceSystem(DEGREES))
    if box.isNull() or box.isEmpty():
        return None
    return (
        max(box.xMinimum(), -180.0),
        max(box.yMinimum(), -90.0),
        min(box.xMaximum(), 180.0),
        min(box.yMaximum(), 90.0),
    )


def box_in_degrees(layer: QgsMapLayer, context: QgsProcessingContext) -> tuple[float, float, float, float]:
    """West, south, east and north of a layer."""
    box = to_degrees(layer, context.transformContext()).transformBoundingBox(layer.extent())
    return (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """A reference system by its code, else in full."""
    if not crs.isValid():
        return ""
    return crs.authid() if crs.authid().startswith("EPSG:") else crs.toWkt()


def area_file(layer: QgsVectorLayer, context: QgsProcessingContext) -> str:
    """The polygons of a layer as GeoJSON in degrees."""
    file = QgsProcessingUtils.generateTempFilename("area.geojson")
    return outlines_file(layer, file, context)


def outlines_file(layer: QgsVectorLayer, file: str, context: QgsProcessingContext) -> str:
    """The polygons of a layer with their fields, as GeoJSON in degrees."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GeoJSON"
    # A rotated box stays one to the millimetre.
    options.layerOptions = ["COORDINATE_PRECISION=9"]
    transform = context.transformContext() or QgsCoordinateTransformContext()
    options.ct = to_degrees(layer, transform)
    written = QgsVectorFileWriter.writeAsVectorFormatV3(layer, file, transform, options)
    if written[0] != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(tr("The layer “{name}” cannot be written as GeoJSON: {why}.",
                                        name=layer.name(), why=written[1]))  # fmt: skip
    return file


def model_folder(word: str) -> str:
    """The folder of the model that a user named."""
    word = word.strip()
    if not word or Path(word).is_dir():
        return os.path.abspath(word) if word else ""
    folder = models.folder_of(word, session.models())
    if folder == word:
        known = ", ".join(models.titles(session.models())) or tr("none yet")
        text = tr("There is no model “{name}”; known are: {known}. What to do: choose one of these, name the folder of "
                  "a model package, or add one with the algorithm “Add a model”.", name=word, known=known)  # fmt: skip
        raise QgsProcessingException(text)
    return folder


def new_model(name: str) -> Path:
    """The folder of a model that is added under this name; one that is there is never replaced."""
    if Path(name).name != name or name.startswith("."):
        raise QgsProcessingException(
            tr("“{name}” cannot be the name of a folder. What to do: choose letters, digits and hyphens.", name=name)
        )
    target = settings.model_folder() / name
    if target.exists():
        raise QgsProcessingException(tr("{target} is there already. What to do: choose another name.", target=target))
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def model_facts(folder: str) -> models.Model:
    """What a model takes and gives."""
    answer = session.model("list", folder)
    # A folder that holds packages is none itself.
    found = [model for model in models.read(answer) if model.path.resolve() == Path(folder).resolve()]
    if not found:
        broken = "; ".join(one["reason"] for one in answer.get("broken", []) if one.get("path") == folder)
        why = f" {broken}." if broken else ""
        text = tr("{folder} holds no sound model package.{why} What to do: choose a folder that holds a model.yaml.",
                  folder=folder, why=why)  # fmt: skip
        raise QgsProcessingException(text)
    return found[0]


def to_degrees(layer: QgsMapLayer, context: QgsCoordinateTransformContext) -> QgsCoordinateTransform:
    """From the reference system of a layer; without one nobody knows where it is."""
    if not layer.crs().isValid():
        text = tr("The layer “{name}” has no reference system. What to do: choose it in the properties of the layer.",
                  name=layer.name())  # fmt: skip
        raise QgsProcessingException(text)
    return QgsCoordinateTransform(layer.crs(), QgsCoordinateReferenceSystem(DEGREES), context)
