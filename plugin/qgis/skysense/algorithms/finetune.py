"""`skysense:finetune`: a model that learns a label layer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

from ..core import ready
from ..core.words import tr
from . import images, layers, rasterize
from .base import SkySenseAlgorithm, run_workflow
from .parameters import advanced, model_parameter

RASTER, POLYGONS, FIELD, CLASSES = "LABELS", "POLYGONS", "CLASS_FIELD", "CLASSES"
NAME, START, STEPS, HOLDOUT, SIZE, FROZEN, SEED, OUTPUT = (
    "NAME", "MODEL", "STEPS", "HOLDOUT", "CHIP_SIZE", "FROZEN", "SEED", "OUTPUT",
)  # fmt: skip


class Finetune(SkySenseAlgorithm):
    """Training on a label layer."""

    ID = "finetune"
    TITLE = "Train a model on labels"
    ABOUT = (
        "Trains a model to give the classes of a label layer: a raster whose values are classes, or polygons with a "
        "field that names them.\n"
        "It starts from a model that you choose, or from nothing. A strip in the east of the area is held out, so "
        "that a score there is honest. The model is added to your models, and “Map of classes” takes it.\n"
        "The classes of a raster are those of its legend (unique values), or those that you write: 1=water, 2=forest."
    )

    def initAlgorithm(self, configuration=None) -> None:
        number = QgsProcessingParameterNumber
        images.add_source(self)
        self.addParameter(QgsProcessingParameterRasterLayer(RASTER, tr("Labels: raster layer"), optional=True))
        self.addParameter(
            QgsProcessingParameterString(CLASSES, tr("Classes of the raster (empty: its legend)"), "", optional=True)
        )
        polygons = [QgsProcessing.TypeVectorPolygon]
        self.addParameter(
            QgsProcessingParameterVectorLayer(POLYGONS, tr("Labels: polygon layer"), polygons, optional=True)
        )
        self.addParameter(
            QgsProcessingParameterField(
                FIELD, tr("Field that names the class"), parentLayerParameterName=POLYGONS, optional=True
            )
        )
        self.addParameter(model_parameter(START, tr("Model to start from (empty: from nothing)"), optional=True))
        self.addParameter(QgsProcessingParameterString(NAME, tr("Name of the new model"), "my-model"))
        self.addParameter(number(STEPS, tr("Steps of training"), number.Integer, 300, False, 1))
        self.addParameter(
            advanced(number(HOLDOUT, tr("Share of the area that is held out"), number.Double, 0.25, False, 0, 0.9))
        )
        self.addParameter(advanced(number(SIZE, tr("Pixels of a chip, from nothing"), number.Integer, 16, False, 4)))
        self.addParameter(advanced(QgsProcessingParameterBoolean(FROZEN, tr("Only the head learns"), False)))
        self.addParameter(advanced(number(SEED, tr("Seed"), number.Integer, 0, False, 0)))
        images.add_grid(self)
        self.addParameter(
            QgsProcessingParameterFolderDestination(
                OUTPUT, tr("Folder for the model (empty: among your models)"), optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputFile("PACKAGE", tr("Folder of the model")))
        self.addOutput(QgsProcessingOutputFile("WORKFLOW", tr("Workflow, to run it again")))
        self.addOutput(QgsProcessingOutputFile("REPORT", tr("Report of the run")))

    def look(self, parameters, context, feedback) -> None:
        start = layers.model_folder(self.parameterAsString(parameters, START, context))
        size, most_dates = self.parameterAsInt(parameters, SIZE, context), 0
        if start:
            model = layers.model_facts(start)
            size, most_dates = model.chip_size, model.most_dates
        name = self.parameterAsString(parameters, NAME, context).strip() or "my-model"
        out = self.parameterAsString(parameters, OUTPUT, context)
        self.out = os.path.abspath(out) if out else str(layers.new_model(name))
        training = ready.Training(
            out=self.out,
            name=name,
            start=start,
            steps=self.parameterAsInt(parameters, STEPS, context),
            holdout=self.parameterAsDouble(parameters, HOLDOUT, context),
            seed=self.parameterAsInt(parameters, SEED, context),
            frozen=self.parameterAsBoolean(parameters, FROZEN, context),
        )
        source = images.images(self, parameters, context)
        grid = images.grid(self, parameters, context, size, most_dates)
        made = ready.finetune(source, grid, self._labels(parameters, context, grid), training)
        self.file = ready.write(made, Path(f"{self.out}.skysense.yaml"))
        feedback.pushInfo(tr("Workflow: {file}", file=self.file))

    def _labels(self, parameters, context, grid: ready.Grid) -> ready.Labels:
        raster = self.parameterAsRasterLayer(parameters, RASTER, context)
        polygons = self.parameterAsVectorLayer(parameters, POLYGONS, context)
        if (raster is None) == (polygons is None):
            raise QgsProcessingException(
                tr("One label layer is needed. What to do: choose a raster with classes, or polygons with a field.")
            )
        if raster is not None:
            written = self.parameterAsString(parameters, CLASSES, context)
            return ready.Labels(layers.raster_file(raster), tuple(layers.classes_from(raster, written)))
        field = self.parameterAsString(parameters, FIELD, context)
        if not field:
            raise QgsProcessingException(tr("Nobody knows which field of the polygons names the class. "
                                            "What to do: choose the field."))  # fmt: skip
        # Kept beside the model, so that the workflow can be run again.
        file = Path(f"{self.out}-labels.tif")
        file.parent.mkdir(parents=True, exist_ok=True)
        classes = rasterize.burn(polygons, field, file, grid.resolution, context)
        return ready.Labels(str(file), tuple(classes))

    def work(self, parameters, context, feedback) -> dict[str, Any]:
        report = run_workflow(self.file, {}, feedback, own_file=True)
        for decision in report.get("decisions") or []:
            if decision.get("what") == "training":
                scores = decision.get("value", {}).get("validation") or {}
                if scores.get("overall_accuracy") is not None:
                    feedback.pushInfo(
                        tr(
                            "{share} % of the pixels that were not learned from are right.",
                            share=round(100 * scores["overall_accuracy"], 1),
                        )  # fmt: skip
                    )
        return {"PACKAGE": self.out, "WORKFLOW": str(self.file), "REPORT": report.get("report") or "", OUTPUT: self.out}
