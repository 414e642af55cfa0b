"""`skysense:segment`: a map of classes."""

from __future__ import annotations

from typing import Any

from ..core import ready
from ..core.models import Model
from ..core.words import tr
from . import images
from .applying import ApplyModel

# A model for numbers, and one for classes of which a chip may have any, give one thing.
OF_CLASSES = ("segmentation", "classification", "change")
OUTPUTS = (("class", "class of each pixel"), ("probability", "probability of each class"), ("entropy", "uncertainty"))


class Segment(ApplyModel):
    """A map of classes from images and a model with a head."""

    ID = "segment"
    TITLE = "Map of classes or numbers"
    ABOUT = (
        "Gives each pixel of images what a trained model says of it: a class, such as land cover or crops, or a "
        "number, such as biomass.\n"
        "Images are raster layers, or what a STAC catalog holds of an area and time, or both. Clouds are masked, "
        "dates are read together, chips are blended without seams. The result is a folder with a GeoTIFF and a STAC "
        "item, and a layer with a legend.\n"
        "Bands are bound by name. Where a file does not name its bands, write which is which: B02=1, B03=2."
    )
    COLLECTION = "map"
    ASSETS = ("class", "value", "probability")

    def add_own(self) -> None:
        self.addParameter(images.choice("OUTPUTS", tr("Results"), OUTPUTS, "class", allowMultiple=True))

    def workflow(self, parameters, context, use: ready.Use, model: Model) -> dict[str, Any]:
        return ready.segment(use, outputs(self, parameters, context, model))


def outputs(algorithm, parameters, context, model: Model) -> list[str]:
    """What is written of a map; nothing where the model leaves no choice."""
    if model.task not in OF_CLASSES:
        return []
    chosen = [OUTPUTS[index][0] for index in algorithm.parameterAsEnums(parameters, "OUTPUTS", context)]
    return chosen or ["class"]
