"""`skysense:detect`: objects as outlines."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingOutputVectorLayer

from ..core import ready
from ..core.models import Model
from ..core.words import tr
from . import images
from .applying import ApplyModel

FORMATS = (("geopackage", "GeoPackage"), ("flatgeobuf", "FlatGeobuf"), ("geoparquet", "GeoParquet"))


class Detect(ApplyModel):
    """Objects from high-resolution images and a detector."""

    ID = "detect"
    TITLE = "Find objects"
    ABOUT = (
        "Finds objects on high-resolution images by a model that was trained for it: buildings, ships, cars. Each is "
        "an outline with its class and a score.\n"
        "Chips overlap, so that some chip sees an object whole: choose a larger overlap where objects are larger than "
        "a quarter of a chip. The result is a folder with a vector file and a STAC item, and a layer with a legend."
    )
    COLLECTION = "objects"
    ASSETS = tuple(name for name, _ in FORMATS)

    def result(self):
        return QgsProcessingOutputVectorLayer("RESULT", tr("Result"))

    def add_own(self) -> None:
        self.addParameter(images.choice("FORMAT", tr("Stored as"), FORMATS, "geopackage"))

    def workflow(self, parameters, context, use: ready.Use, model: Model) -> dict[str, Any]:
        return ready.detect(use, images.chosen(self, parameters, "FORMAT", context, FORMATS))
