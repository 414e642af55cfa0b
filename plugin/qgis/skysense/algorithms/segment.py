"""`skysense:segment`: a map of classes."""

from __future__ import annotations

from typing import Any

from ..core import ready
from ..core.words import tr
from . import images
from .applying import ApplyModel

OUTPUTS = (("class", "class of each pixel"), ("probability", "probability of each class"), ("entropy", "uncertainty"))


class Segment(ApplyModel):
    """A map of classes from images and a model with a head."""

    ID = "segment"
    TITLE = "Map of classes"
    ABOUT = (
        "Gives each pixel of images a class of a trained model: land cover, crops, buildings.\n"
        "Images are raster layers, or what a STAC catalog holds of an area and time, or both. Clouds are masked, "
        "dates are read together, chips are blended without seams. The result is a folder with a GeoTIFF and a STAC "
        "item, and a layer with a legend.\n"
        "Bands are bound by name. Where a file does not name its bands, write which is which: B02=1, B03=2."
    )
    COLLECTION = "map"
    ASSETS = ("class",)

    def add_own(self) -> None:
        self.addParameter(images.choice("OUTPUTS", tr("Results"), OUTPUTS, "class", allowMultiple=True))

    def workflow(self, parameters, context, use: ready.Use) -> dict[str, Any]:
        chosen = [OUTPUTS[index][0] for index in self.parameterAsEnums(parameters, "OUTPUTS", context)]
        return ready.segment(use, chosen or ["class"])
