"""`skysense:search`: items of a STAC catalog as polygons, and their images as layers."""

from __future__ import annotations

import json
import os
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsVectorLayer,
)

from .. import session
from ..core import events, ready
from ..core.words import tr
from . import images, layers
from .base import SkySenseAlgorithm, tell

LIMIT, ASSETS, OUTPUT = "LIMIT", "ASSETS", "OUTPUT"
# Layers that one search may add: more would only be in the way.
MOST_LAYERS = 50


class Search(SkySenseAlgorithm):
    """Items of a catalog."""

    ID = "search"
    TITLE = "Search STAC and load"
    ABOUT = (
        "Finds the images that a STAC catalog or API holds of an area and time.\n"
        "The result is a layer with an outline, date, cloud cover and collection of each image. Name assets, such as "
        "visual or B04, to have those rasters loaded as well; they are read where they are, and nothing is downloaded "
        "as a whole. Images that need a signature, such as those of the Planetary Computer, are found and mapped, and "
        "not loaded here."
    )

    def initAlgorithm(self, configuration=None) -> None:
        number, kind = QgsProcessingParameterNumber, QgsProcessingParameterNumber.Type
        images.add_catalog(self, optional=False)
        self.addParameter(number(LIMIT, tr("Most images"), kind.Integer, 100, False, 1))
        self.addParameter(
            QgsProcessingParameterString(
                ASSETS, tr("Assets to load, with commas between (empty: outlines only)"), "", optional=True
            )
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(OUTPUT, tr("Images that were found"), "GeoJSON (*.geojson)")
        )
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("How many")))

    def work(self, parameters, context, feedback) -> dict[str, Any]:
        wanted = images.searched(self, parameters, context)
        wanted = ready.Images(**{**wanted.__dict__, "limit": self.parameterAsInt(parameters, LIMIT, context)})
        settings = ready.search(wanted, layers.degrees(self, parameters, images.EXTENT, context))
        if "://" not in settings["href"]:
            settings["href"] = os.path.abspath(settings["href"])
        listener = events.Listener()
        answer = session.tool(
            "stac.items",
            settings,
            on_event=lambda event: tell(listener, event, feedback),
            cancelled=feedback.isCanceled,
        )
        for skipped in answer.get("skipped", []):
            name = skipped.get("item") or skipped.get("href")
            feedback.pushWarning(tr("left out: {what}: {reason}", what=name, reason=skipped.get("reason", "")))
        file = self.parameterAsFileOutput(parameters, OUTPUT, context)
        outlines = {"type": "FeatureCollection", "features": [_outline(item) for item in answer["features"]]}
        with open(file, "w", encoding="utf-8") as out:
            json.dump(outlines, out, ensure_ascii=False)
        self._load(answer["features"], file, parameters, context, feedback)
        feedback.pushInfo(tr("{count} images were found.", count=len(answer["features"])))
        return {OUTPUT: file, "COUNT": len(answer["features"])}

    def _load(
        self, items: list[dict[str, Any]], file: str, parameters, context: QgsProcessingContext, feedback
    ) -> None:
        keys = [key.strip() for key in self.parameterAsString(parameters, ASSETS, context).split(",") if key.strip()]
        _check_assets(keys, items)
        if context.project() is None:
            return
        details = QgsProcessingContext.LayerDetails(tr("images found"), context.project(), OUTPUT)
        context.addLayerToLoadOnCompletion(QgsVectorLayer(file).source() or file, details)
        places = [(f"{item['id']}: {key}", item["assets"][key]["href"]) for item in items for key in keys
                  if key in item.get("assets", {})]  # fmt: skip
        if len(places) > MOST_LAYERS:
            feedback.pushWarning(
                tr(
                    "{all} rasters are more than fit a list of layers; the first {most} are loaded.",
                    all=len(places),
                    most=MOST_LAYERS,
                )  # fmt: skip
            )
        for name, href in places[:MOST_LAYERS]:
            details = QgsProcessingContext.LayerDetails(name, context.project(), name)
            details.layerTypeHint = _raster_hint()
            context.addLayerToLoadOnCompletion(readable(href), details)


def readable(href: str) -> str:
    """An href as GDAL opens it."""
    if href.startswith(("http://", "https://")):
        return f"/vsicurl/{href}"
    return f"/vsis3/{href[5:]}" if href.startswith("s3://") else href


def _raster_hint():
    from qgis.core import QgsProcessingUtils

    return QgsProcessingUtils.LayerHint.Raster


def _check_assets(keys: list[str], items: list[dict[str, Any]]) -> None:
    known = sorted({key for item in items for key in item.get("assets", {})})
    unknown = [key for key in keys if key not in known]
    if unknown:
        text = tr("No image has the asset {names}. What to do: name some of {known}.",
                  names=", ".join(unknown), known=", ".join(known))  # fmt: skip
        raise QgsProcessingException(text)


def _outline(item: dict[str, Any]) -> dict[str, Any]:
    """An item with what a table shows of it."""
    properties = item.get("properties", {})
    links = {link.get("rel"): link.get("href") for link in item.get("links", [])}
    return {
        "type": "Feature",
        "geometry": item.get("geometry"),
        "properties": {
            "id": item["id"],
            "collection": item.get("collection"),
            "datetime": properties.get("datetime") or properties.get("start_datetime"),
            "platform": properties.get("platform"),
            "cloud_cover": properties.get("eo:cloud_cover"),
            "assets": ", ".join(item.get("assets", {})),
            "href": links.get("self"),
        },
    }
