"""The parameters that say which images are read: layers, a catalog, dates, area and grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
EXTENT, CRS, RESOLUTION, PERIOD, MASK, MODALITY, MOST, OVERLAP = (
    "EXTENT", "CRS", "RESOLUTION", "PERIOD", "MASK", "MODALITIES", "MOST_DATES", "OVERLAP",
)  # fmt: skip
SUBSET = "BAND_RULE"
BAND_RULES = (("all", "all bands of the model are needed"), ("subset", "the bands that are there will do"))


@dataclass(frozen=True)
class Time:
    """The parameters that say what is of one time."""

    layers: str
    dates: str
    start: str
    end: str


NOW = Time(LAYERS, DATES, START, END)
EARLIER = Time("LAYERS_BEFORE", "DATES_BEFORE", "START_BEFORE", "END_BEFORE")


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
    raster = QgsProcessing.SourceType.TypeRaster
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


def add_earlier(algorithm: QgsProcessingAlgorithm) -> None:
    """The same of an earlier time: sensor, bands, catalog and collections are those of the later one."""
    raster = QgsProcessing.SourceType.TypeRaster
    algorithm.addParameter(
        QgsProcessingParameterMultipleLayers(EARLIER.layers, tr("Before: raster layers"), raster, optional=True)
    )
    title = tr("Before: dates of the layers (empty: by their names)")
    algorithm.addParameter(QgsProcessingParameterString(EARLIER.dates, title, "", optional=True))
    algorithm.addParameter(date_parameter(EARLIER.start, tr("Before: first day in the catalog")))
    algorithm.addParameter(date_parameter(EARLIER.end, tr("Before: last day in the catalog")))


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
    number, kind = QgsProcessingParameterNumber, QgsProcessingParameterNumber.Type
    algorithm.addParameter(
        advanced(number(CLOUD, tr("Most cloud cover of an item, %"), kind.Double, None, True, 0, 100))
    )


def add_grid(algorithm: QgsProcessingAlgorithm) -> None:
    """What the images are brought onto."""
    number, kind = QgsProcessingParameterNumber, QgsProcessingParameterNumber.Type
    for parameter in (
        QgsProcessingParameterCrs(CRS, tr("Reference system (empty: that of most images)"), None, optional=True),
        number(RESOLUTION, tr("Pixel size"), kind.Double, 10.0, False, 0.01),
        choice(MASK, tr("Masked"), MASKS, "clouds"),
        choice(MODALITY, tr("Kinds of images to use (empty: all)"), MODALITIES, "", allowMultiple=True, optional=True),
        choice(SUBSET, tr("Bands"), BAND_RULES, "all"),
        QgsProcessingParameterString(PERIOD, tr("One map for each period, such as P1M (none: one map)"), "none"),
        number(MOST, tr("Most dates in a period"), kind.Integer, 12, False, 1),
        number(OVERLAP, tr("Pixels that chips share (empty: a quarter of a chip)"), kind.Integer, None, True, 0),
    ):
        algorithm.addParameter(advanced(parameter))


def images(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context, time: Time = NOW) -> ready.Images:
    """The images that were chosen."""
    chosen_layers = algorithm.parameterAsLayerList(parameters, time.layers, context) or []
    rasters = [layer for layer in chosen_layers if isinstance(layer, QgsRasterLayer)]
    found = searched(algorithm, parameters, context, time)
    sensor = chosen(algorithm, parameters, SENSOR, context, SENSORS)
    return ready.Images(
        catalog=found.catalog,
        collections=found.collections,
        start=found.start,
        end=found.end,
        cloud_cover=found.cloud_cover,
        rasters=tuple(_rasters(algorithm, parameters, context, rasters, sensor, time)),
        sensor=sensor,
        radiometry=chosen(algorithm, parameters, RADIO, context, RADIOMETRY),
    )


def needed(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context) -> ready.Images:
    """As `images`; that there are none is told."""
    found = images(algorithm, parameters, context)
    if not found.rasters and not found.catalog:
        raise QgsProcessingException(
            tr("There are no images. What to do: choose raster layers, or name a STAC catalog.")
        )
    return found


def two_times(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context):
    """Images of now and of before. One catalog holds both: it is searched for those whose days are given."""
    now, before = needed(algorithm, parameters, context), images(algorithm, parameters, context, EARLIER)
    if before.catalog and not (before.start or before.end):
        before = replace(before, catalog="")
    if not before.rasters and not before.catalog:
        raise QgsProcessingException(
            tr(
                "There are no images of the earlier time. What to do: choose raster layers under “Before”, or the days "
                "of the earlier time in the catalog."
            )  # fmt: skip
        )
    if before.catalog and now.catalog and (now.start, now.end) == (before.start, before.end):
        raise QgsProcessingException(tr("Both times are of the same days. What to do: choose days for each of them."))
    return now, before


def searched(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context, time: Time = NOW) -> ready.Images:
    """What is searched for in a catalog."""
    collections = algorithm.parameterAsString(parameters, COLLECTIONS, context)
    cover = parameters.get(CLOUD)
    return ready.Images(
        catalog=algorithm.parameterAsString(parameters, CATALOG, context).strip(),
        collections=tuple(part.strip() for part in collections.split(",") if part.strip()),
        start=values.day(algorithm, time.start, parameters, context),
        end=values.day(algorithm, time.end, parameters, context),
        cloud_cover=None if cover in (None, "") else algorithm.parameterAsDouble(parameters, CLOUD, context),
    )


def _rasters(
    algorithm, parameters, context, rasters: list[QgsRasterLayer], sensor: str, time: Time
) -> list[ready.Raster]:
    try:
        written = bands.parse(algorithm.parameterAsString(parameters, BANDS, context))
    except bands.BandsError as error:
        raise QgsProcessingException(str(error)) from error
    days = dates.listed(algorithm.parameterAsString(parameters, time.dates, context), len(rasters))
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
        href, subdataset = layers.raster_file(layer)
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
        word = "layer" if time == NOW else "before"
        found.append(ready.Raster(href, mapping, when, f"{word}-{place + 1}", subdataset))
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
        overlap=_overlap(algorithm, parameters, context, size),
    )


def _overlap(algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context, size: int) -> int | None:
    if parameters.get(OVERLAP) in (None, ""):
        return None
    overlap = algorithm.parameterAsInt(parameters, OVERLAP, context)
    if 2 * overlap >= size:
        raise QgsProcessingException(
            tr(
                "Chips of {size} pixels cannot share {overlap}. What to do: write less than half of a chip.",
                size=size,
                overlap=overlap,
            )  # fmt: skip
        )
    return overlap
