"""`skysense:embed`: features of each pixel."""

from __future__ import annotations

from typing import Any

from ..core import ready
from ..core.models import Model
from ..core.words import tr
from . import images
from .applying import ApplyModel

DTYPES = (("float32", "decimal numbers"), ("int16", "whole numbers, half the size"))


class Embed(ApplyModel):
    """Features from images and any model."""

    ID = "embed"
    TITLE = "Features of a model"
    ABOUT = (
        "Gives each pixel of images the features of a model's encoder: many bands to cluster, to compare dates by, or "
        "to train other methods on.\n"
        "Images are raster layers, or what a STAC catalog holds of an area and time, or both. The result is a folder "
        "with a GeoTIFF and a STAC item."
    )
    COLLECTION = "features"
    ASSETS = ("features", "feature")

    def add_own(self) -> None:
        self.addParameter(images.choice("DTYPE", tr("Stored as"), DTYPES, "float32"))

    def fit(self, model: Model) -> None:
        """Every model has features."""

    def workflow(self, parameters, context, use: ready.Use, model: Model) -> dict[str, Any]:
        dtype = images.chosen(self, parameters, "DTYPE", context, DTYPES)
        return ready.embed(use, dtype)
