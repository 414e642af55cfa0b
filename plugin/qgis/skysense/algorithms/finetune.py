"""`skysense:finetune`: a model that learns a label layer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
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

from ..core import label_catalog, ready
from ..core.models import TASKS
from ..core.words import tr
from . import images, layers, rasterize
from .base import SkySenseAlgorithm, run_workflow
from .parameters import advanced, model_parameter

RASTER, POLYGONS, FIELD, CLASSES = "LABELS", "POLYGONS", "CLASS_FIELD", "CLASSES"
TASK, NAME, START, STEPS, HOLDOUT, SIZE, FROZEN, BALANCED, SEED, OUTPUT = (
    "TASK", "NAME", "MODEL", "STEPS", "HOLDOUT", "CHIP_SIZE", "FROZEN", "BALANCED", "SEED", "OUTPUT",
)  # fmt: skip
CHOICES = tuple((task, words) for task, (words, _) in TASKS.items())
OF_OBJECTS = ("detection", "oriented_detection")
COG, GEOJSON = "image/tiff; application=geotiff", "application/geo+json"


class Finetune(SkySenseAlgorithm):
    """Training on a label layer."""

    ID = "finetune"
    TITLE = "Train a model on labels"
    ABOUT = (
        "Trains a model to give what a label layer says: classes or numbers of pixels, classes of whole chips, change "
        "between two times, or objects. Labels are a raster, or polygons with a field that names the class or the "
        "number; objects are polygons.\n"
        "It starts from a model that you choose, or from nothing. A strip in the east of the area is held out, so "
        "that a score there is honest. The model is added to your models, and the algorithms that apply models take "
        "it.\n"
        "The classes of a raster are those of its legend (unique values), or those that you write: 1=water, 2=forest. "
        "Of change the class with the lowest value means that nothing changed, and images of an earlier time are "
        "needed."
    )

    def initAlgorithm(self, configuration=None) -> None:
        number, kind = QgsProcessingParameterNumber, QgsProcessingParameterNumber.Type
        images.add_source(self)
        images.add_earlier(self)
        self.addParameter(images.choice(TASK, tr("What is learned"), CHOICES, "segmentation"))
        self.addParameter(QgsProcessingParameterRasterLayer(RASTER, tr("Labels: raster layer"), optional=True))
        self.addParameter(
            QgsProcessingParameterString(CLASSES, tr("Classes of the raster (empty: its legend)"), "", optional=True)
        )
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.addParameter(
            QgsProcessingParameterVectorLayer(POLYGONS, tr("Labels: polygon layer"), polygons, optional=True)
        )
        self.addParameter(
            QgsProcessingParameterField(
                FIELD, tr("Field with the class or number"), parentLayerParameterName=POLYGONS, optional=True
            )
        )
        self.addParameter(model_parameter(START, tr("Model to start from (empty: from nothing)"), optional=True))
        self.addParameter(QgsProcessingParameterString(NAME, tr("Name of the new model"), "my-model"))
        self.addParameter(number(STEPS, tr("Steps of training"), kind.Integer, 300, False, 1))
        self.addParameter(
            advanced(number(HOLDOUT, tr("Share of the area that is held out"), kind.Double, 0.25, False, 0, 0.9))
        )
        self.addParameter(advanced(number(SIZE, tr("Pixels of a chip, from nothing"), kind.Integer, 16, False, 4)))
        self.addParameter(advanced(QgsProcessingParameterBoolean(FROZEN, tr("Only the head learns"), False)))
        self.addParameter(advanced(QgsProcessingParameterBoolean(BALANCED, tr("Rare classes count as much"), False)))
        self.addParameter(advanced(number(SEED, tr("Seed"), kind.Integer, 0, False, 0)))
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
        self.task = images.chosen(self, parameters, TASK, context, CHOICES)
        name = self.parameterAsString(parameters, NAME, context).strip() or "my-model"
        out = self.parameterAsString(parameters, OUTPUT, context)
        self.out = os.path.abspath(out) if out else str(layers.new_model(name))
        if (Path(self.out) / "model.yaml").exists():
            raise QgsProcessingException(
                tr("{target} is there already. What to do: choose another name.", target=self.out)
            )
        training = ready.Training(
            out=self.out,
            name=name,
            start=start,
            steps=self.parameterAsInt(parameters, STEPS, context),
            holdout=self.parameterAsDouble(parameters, HOLDOUT, context),
            seed=self.parameterAsInt(parameters, SEED, context),
            frozen=self.parameterAsBoolean(parameters, FROZEN, context),
            task=self.task,
            balanced=self.parameterAsBoolean(parameters, BALANCED, context),
        )
        if self.task == "change":
            source, before = images.two_times(self, parameters, context)
        else:
            source, before = images.needed(self, parameters, context), None
        grid = images.grid(self, parameters, context, size, most_dates)
        made = ready.finetune(source, before, grid, self._labels(parameters, context, grid), training)
        self.file = ready.write(made, Path(f"{self.out}.skysense.yaml"))
        feedback.pushInfo(tr("Workflow: {file}", file=self.file))

    def _labels(self, parameters, context, grid: ready.Grid) -> ready.Labels | ready.Described:
        raster = self.parameterAsRasterLayer(parameters, RASTER, context)
        polygons = self.parameterAsVectorLayer(parameters, POLYGONS, context)
        if self.task in OF_OBJECTS and polygons is None:
            raise QgsProcessingException(
                tr("Objects are learned from polygons. What to do: choose a polygon layer with a field of classes.")
            )
        if (raster is None) == (polygons is None):
            raise QgsProcessingException(
                tr("One label layer is needed. What to do: choose a raster with classes, or polygons with a field.")
            )
        if raster is not None:
            return self._of_raster(raster, self.parameterAsString(parameters, CLASSES, context))
        field = self.parameterAsString(parameters, FIELD, context)
        if not field:
            raise QgsProcessingException(tr("Nobody knows which field of the polygons names the class. "
                                            "What to do: choose the field."))  # fmt: skip
        # Kept beside the model, so that the workflow can be run again.
        folder = Path(f"{self.out}-labels")
        folder.mkdir(parents=True, exist_ok=True)
        place = layers.box_in_degrees(polygons, context)
        if self.task in OF_OBJECTS:
            file = folder / "objects.geojson"
            layers.outlines_file(polygons, str(file), context)
            catalog = label_catalog.write(folder, file, GEOJSON, place)
            return ready.Described(str(catalog), str(file), field)
        file = folder / "labels.tif"
        if self.task == "regression":
            rasterize.burn_numbers(polygons, field, file, grid.resolution, context)
            return ready.Described(str(label_catalog.write(folder, file, COG, place)), str(file))
        return ready.Labels(str(file), tuple(rasterize.burn(polygons, field, file, grid.resolution, context)))

    def _of_raster(self, raster, written: str) -> ready.Labels | ready.Described:
        if self.task == "regression":
            file = layers.whole_file(raster)
            if "://" in file:
                raise QgsProcessingException(
                    tr(
                        "Labels with numbers are a file of this machine. What to do: save the layer as GeoTIFF "
                        "(Export > Save As) and use that."
                    )  # fmt: skip
                )
            place = layers.box_in_degrees(raster, QgsProcessingContext())
            catalog = label_catalog.write(Path(f"{self.out}-labels"), Path(file), COG, place)
            return ready.Described(str(catalog), file)
        href, subdataset = layers.raster_file(raster)
        return ready.Labels(href, tuple(layers.classes_from(raster, written)), subdataset)

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
