"""The parameters that say which images are read: layers, a catalog, dates, area and grid."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterCrs,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ..core import bands, dates, ready
from ..core.words import tr
from . import layers, values
from .parameters import advanced, date_parameter

SENSORS = (
    ("sentinel-2-l2a", "Sentinel-2 L2A"),
    ("sentinel-2-l1c", "Sentinel-2 L1C"),
    ("sentinel-1-rtc", "Sentinel-1 RTC"),
    ("hr-rgb", "High resolution, red, green, blue"),
    ("hr-rgbn", "High resolution, red, green, blue, near infrared"),
)
RADIOMETRY = (
    ("auto", "as file and pixels say"),
    ("offset_0", "reflectance × 10000"),
    ("offset_1000", "reflectance × 10000 + 1000 (Sentinel-2 from baseline 04.00 on)"),
    ("reflectance", "reflectance, 0 to 1"),
    ("linear", "radar, linear power"),
    ("decibel", "radar, decibels"),
)
MODALITIES = (("s2", "Sentinel-2"), ("s1", "Sentinel-1"), ("hr", "high resolution"))
MASKS = (("clouds", "clouds and shadows"), ("snow", "clouds, shadows and snow"), ("none", "nothing"))

LAYERS, SENSOR, BANDS, DATES, RADIO = "LAYERS", "SENSOR", "BANDS", "DATES", "RADIOMETRY"
CATALOG, COLLECTIONS, START, END, CLOUD = "CATALOG", "COLLECTIONS", "START", "END", "CLOUD_COVER"
EXTENT, CRS, RESOLUTION, PERIOD, MASK, MODALITY, MOST = (
    "EXTENT", "CRS", "RESOLUTION", "PERIOD", "MASK", "MODALITIES", "MOST_DATES",
)  # fmt: skip
SUBSET = "BAND_RULE"
BAND_RULES = (("all", "all bands of the model are needed"), ("subset", "the bands that are there will do"))


def choice(name: str, title: str, options, default: str, **more: bool):
    """A choice among words of the command, told in words for people."""
    names = [value for value, _ in options]
    index = names.index(default) if default else None
    return QgsProcessingParameterEnum(name, title, [tr(words) for _, words in options], defaultValue=index, **more)


def chosen(algorithm: QgsProcessingAlgorithm, parameters, name: str, context, options) -> str:
    """The command's word for what was chosen."""
    return options[algorithm.parameterAsEnum(parameters, name, context)][0]


def add_source(algorithm: QgsProcessingAlgorithm) -> None:
    """Layers and a catalog: one of both is needed."""
    raster = QgsProcessing.TypeRaster
    algorithm.addParameter(
        QgsProcessingParameterMultipleLayers(LAYERS, tr("Images: raster layers"), raster, optional=True)
    )
    algorithm.addParameter(choice(SENSOR, tr("Sensor of the layers"), SENSORS, "sentinel-2-l2a"))
    mapping = QgsProcessingParameterString(BANDS, tr("Bands of the layers (empty: by their names)"), "", optional=True)
    mapping.setHelp(tr("Which band of the sensor is which band of the file: B02=1, B03=2, B04=3."))
    algorithm.addParameter(mapping)
    when = QgsProcessingParameterString(DATES, tr("Dates of the layers (empty: by their names)"), "", optional=True)
    when.setHelp(tr("One date for all layers, or one for each in their order: 2021-05-03, 2021-07-22."))
    algorithm.addParameter(when)
    algorithm.addParameter(advanced(choice(RADIO, tr("Numbers of the layers"), RADIOMETRY, "auto")))
    add_catalog(algorithm, optional=True)


def add_catalog(algorithm: QgsProcessingAlgorithm, optional: bool) -> None:
    """A STAC catalog, what to search for in it, and where."""
    title = tr("Images: STAC catalog or API (path or URL)")
    algorithm.addParameter(QgsProcessingParameterString(CATALOG, title, None, optional=optional))
    algorithm.addParameter(
        QgsProcessingParameterString(COLLECTIONS, tr("Collections, with commas between"), "", optional=True)
    )
    algorithm.addParameter(date_parameter(START, tr("First day")))
    algorithm.addParameter(date_parameter(END, tr("Last day")))
    algorithm.addParameter(QgsProcessingParameterExtent(EXTENT, tr("Area (empty: all of the images)"), optional=True))
    number = QgsProcessingParameterNumber
    algorithm.addParameter(
        advanced(number(CLOUD, tr("Most cloud cover of an item, %"), number.Double, None, True, 0, 100))
    )


def add_grid(algorithm: QgsProcessingAlgorithm) -> None:
    """What the images are brought onto."""
    number = QgsProcessingParameterNumber
    for parameter in (
        QgsProcessingParameterCrs(CRS, tr("Reference system (empty: that of most images)"), None, optional=True),
        number(RESOLUTION, tr("Pixel size"), number.Double, 10.0, False, 0.01),
        choice(MASK, tr("Masked"), MASKS, "clouds"),
        choice(MODALITY, tr("Kinds of images to use (empty: all)"), MODALITIES, "", allowMultiple=True, optional=True),
        choice(SUBSET, tr("Bands"), BAND_RULES, "all"),
        QgsProcessingParameterString(PERIOD, tr("One map for each period, such as P1M (none: one map)"), "none"),
        number(MOST, tr("Most dates in a period"), number.Integer, 12, False, 1),
    ):
        algorithm.addParameter(advanced(parameter))


def images(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context) -> ready.Images:
    """The images that were chosen."""
    chosen_layers = algorithm.parameterAsLayerList(parameters, LAYERS, context) or []
    rasters = [layer for layer in chosen_layers if isinstance(layer, QgsRasterLayer)]
    found = searched(algorithm, parameters, context)
    if not rasters and not found.catalog:
        raise QgsProcessingException(
            tr("There are no images. What to do: choose raster layers, or name a STAC catalog.")
        )
    sensor = chosen(algorithm, parameters, SENSOR, context, SENSORS)
    return ready.Images(
        catalog=found.catalog,
        collections=found.collections,
        start=found.start,
        end=found.end,
        cloud_cover=found.cloud_cover,
        rasters=tuple(_rasters(algorithm, parameters, context, rasters, sensor)),
        sensor=sensor,
        radiometry=chosen(algorithm, parameters, RADIO, context, RADIOMETRY),
    )


def searched(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context) -> ready.Images:
    """What is searched for in a catalog."""
    collections = algorithm.parameterAsString(parameters, COLLECTIONS, context)
    cover = parameters.get(CLOUD)
    return ready.Images(
        catalog=algorithm.parameterAsString(parameters, CATALOG, context).strip(),
        collections=tuple(part.strip() for part in collections.split(",") if part.strip()),
        start=values.day(algorithm, START, parameters, context),
        end=values.day(algorithm, END, parameters, context),
        cloud_cover=None if cover in (None, "") else algorithm.parameterAsDouble(parameters, CLOUD, context),
    )


def _rasters(algorithm, parameters, context, rasters: list[QgsRasterLayer], sensor: str) -> list[ready.Raster]:
    try:
        written = bands.parse(algorithm.parameterAsString(parameters, BANDS, context))
    except bands.BandsError as error:
        raise QgsProcessingException(str(error)) from error
    days = dates.listed(algorithm.parameterAsString(parameters, DATES, context), len(rasters))
    if days and len(days) != len(rasters):
        raise QgsProcessingException(
            tr(
                "{dates} dates are written for {layers} layers. What to do: write one date for each, or one for all.",
                dates=len(days),
                layers=len(rasters),
            )  # fmt: skip
        )
    found = []
    for place, layer in enumerate(rasters):
        href = layers.raster_file(layer)
        mapping = written or layers.band_mapping(layer, sensor)
        if not mapping:
            raise QgsProcessingException(
                tr(
                    "The file of “{name}” does not say which band is which, and bands are never taken by position. "
                    "What to do: write it, as in B02=1, B03=2.",
                    name=layer.name(),
                )  # fmt: skip
            )
        when = days[place] if days else layers.taken_at(layer)
        if not when:
            raise QgsProcessingException(
                tr(
                    "Nobody knows when “{name}” was taken. What to do: write its date, as in 2021-05-03.",
                    name=layer.name(),
                )  # fmt: skip
            )
        # Files of one name in different folders are different images.
        found.append(ready.Raster(href, mapping, when, f"layer-{place + 1}"))
    return found


def grid(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context, size: int, most_dates: int = 0):
    """The grid that was chosen, with chips of the model's size and no more dates than it takes."""
    dates = algorithm.parameterAsInt(parameters, MOST, context)
    kinds = algorithm.parameterAsEnums(parameters, MODALITY, context) if parameters.get(MODALITY) else []
    return ready.Grid(
        bbox=layers.degrees(algorithm, parameters, EXTENT, context),
        crs=layers.crs_text(algorithm.parameterAsCrs(parameters, CRS, context)) if parameters.get(CRS) else "",
        resolution=algorithm.parameterAsDouble(parameters, RESOLUTION, context),
        size=size,
        modalities=tuple(MODALITIES[kind][0] for kind in kinds),
        period=algorithm.parameterAsString(parameters, PERIOD, context).strip() or "none",
        dates=min(dates, most_dates) if most_dates else dates,
        mask=chosen(algorithm, parameters, MASK, context, MASKS),
        bands=chosen(algorithm, parameters, SUBSET, context, BAND_RULES),
    )
