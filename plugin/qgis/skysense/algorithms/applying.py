"""What applying a model over images means for all algorithms that do it, whatever comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterFolderDestination,
)

from ..core import ready
from ..core.models import Model
from ..core.words import tr
from . import images, layers, results
from .base import SkySenseAlgorithm, run_workflow
from .parameters import LOAD, add_load, model_parameter

MODEL, OUTPUT, WORKFLOW = "MODEL", "OUTPUT", "WORKFLOW"


class ApplyModel(SkySenseAlgorithm):
    """A model over images."""

    # What its result is called where the folder has no name.
    COLLECTION = ""
    # The asset that is the result.
    ASSETS: tuple[str, ...] = ()
    # Whether it reads images of two times.
    COMPARES = False

    def initAlgorithm(self, configuration=None) -> None:
        images.add_source(self)
        if self.COMPARES:
            images.add_earlier(self)
        self.addParameter(model_parameter(MODEL, tr("Model")))
        self.add_own()
        images.add_grid(self)
        add_load(self)
        self.addParameter(QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder for the result")))
        self.addOutput(self.result())
        self.addOutput(QgsProcessingOutputMultipleLayers("RESULTS", tr("All results")))
        self.addOutput(QgsProcessingOutputFile("ITEM", tr("STAC item of the result")))
        self.addOutput(QgsProcessingOutputFile(WORKFLOW, tr("Workflow, to run it again")))
        self.addOutput(QgsProcessingOutputFile("REPORT", tr("Report of the run")))

    def add_own(self) -> None:
        """Parameters of the algorithm alone."""

    def result(self):
        """The output that is the result."""
        return QgsProcessingOutputRasterLayer("RESULT", tr("Result"))

    def workflow(self, parameters, context, use: ready.Use, model: Model) -> dict[str, Any]:
        """The workflow that does it."""
        raise NotImplementedError

    def fit(self, model: Model) -> None:
        """Refuses a model that gives something else than this algorithm."""
        if model.algorithm != self.ID:
            other = self.provider().algorithm(model.algorithm)
            raise QgsProcessingException(
                tr("The model “{name}” gives {what}. What to do: use “{algorithm}” for it, or choose another model.",
                   name=model.name, what=model.gives, algorithm=other.displayName() if other else model.algorithm)
            )  # fmt: skip

    def look(self, parameters, context, feedback) -> None:
        folder = layers.model_folder(self.parameterAsString(parameters, MODEL, context))
        model = layers.model_facts(folder)
        self.fit(model)
        # Asked once: a temporary folder is another one each time.
        self.out = out = os.path.abspath(self.parameterAsString(parameters, OUTPUT, context))
        if self.COMPARES:
            source, before = images.two_times(self, parameters, context)
        else:
            source, before = images.needed(self, parameters, context), None
        grid = images.grid(self, parameters, context, model.chip_size, model.most_dates)
        use = ready.Use(source, grid, folder, out, results.collection_name(out, self.COLLECTION), before)
        made = self.workflow(parameters, context, use, model)
        # Beside the result and not in it: the folder is whole or not there.
        self.file = ready.write(made, Path(f"{out.rstrip(os.sep)}.skysense.yaml"))
        feedback.pushInfo(tr("Workflow: {file}", file=self.file))

    def work(self, parameters, context, feedback) -> dict[str, Any]:
        report = run_workflow(self.file, {}, feedback, own_file=True)
        found = results.outputs_of(report)
        if self.parameterAsBoolean(parameters, LOAD, context):
            results.load(found, context)
        return {
            "RESULT": results.first(found, *self.ASSETS),
            "RESULTS": [str(result.file) for result in found],
            "ITEM": results.item_file(report),
            WORKFLOW: str(self.file),
            "REPORT": report.get("report") or "",
            OUTPUT: self.out,
        }
