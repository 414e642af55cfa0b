"""`skysense:change`: what changed between two times."""

from __future__ import annotations

from typing import Any

from ..core import ready
from ..core.models import Model
from ..core.words import tr
from . import images
from .applying import ApplyModel
from .segment import OUTPUTS, outputs


class Change(ApplyModel):
    """A map of change from images of two times and a model that compares them."""

    ID = "change"
    TITLE = "Map of change"
    ABOUT = (
        "Compares images of two times by a model that was trained for it, and gives each pixel a class of change.\n"
        "Images of both times are raster layers, or what one STAC catalog holds of the two: choose days for each. Both "
        "are brought onto one grid; choose an area where the images of one time reach further than those of the "
        "other.\n"
        "The result is a folder with a GeoTIFF and a STAC item, and a layer with a legend."
    )
    COLLECTION = "change"
    ASSETS = ("class",)
    COMPARES = True

    def add_own(self) -> None:
        self.addParameter(images.choice("OUTPUTS", tr("Results"), OUTPUTS, "class", allowMultiple=True))

    def workflow(self, parameters, context, use: ready.Use, model: Model) -> dict[str, Any]:
        return ready.segment(use, outputs(self, parameters, context, model))
