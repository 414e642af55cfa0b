"""A workflow file as an algorithm: its params are the parameters, its doc the help."""

from __future__ import annotations

import html
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputRasterLayer,
)

from ..core import fields
from ..core.words import tr
from ..core.workflows import Workflow
from . import results, values
from .base import SkySenseAlgorithm, run_workflow
from .parameters import LOAD, add_load, parameters_of


class WorkflowAlgorithm(SkySenseAlgorithm):
    """A workflow of the user, the project or the plugin."""

    def __init__(self, workflow: Workflow) -> None:
        super().__init__()
        self.workflow = workflow
        self.fields = fields.fields(workflow.params)

    def createInstance(self):
        return WorkflowAlgorithm(self.workflow)

    def name(self) -> str:
        return self.workflow.id

    def displayName(self) -> str:
        name = self.workflow.name
        return name[0].upper() + name[1:]

    def group(self) -> str:
        return self.workflow.group

    def groupId(self) -> str:
        return self.workflow.id.split("_")[0]

    def shortDescription(self) -> str:
        return self.workflow.doc

    def shortHelpString(self) -> str:
        parts = [f"<p>{html.escape(self.workflow.doc)}</p>"] if self.workflow.doc else []
        documented = [field.param for field in self.fields if field.param.doc]
        parts += [f"<h3>{html.escape(param.name)}</h3><p>{html.escape(param.doc)}</p>" for param in documented]
        parts.append(f"<p>{html.escape(tr('Workflow: {file}', file=self.workflow.file))}</p>")
        return "".join(parts)

    def initAlgorithm(self, configuration=None) -> None:
        for parameter in parameters_of(self.fields, self.workflow.file.parent):
            self.addParameter(parameter)
        add_load(self)
        self.addOutput(QgsProcessingOutputRasterLayer("RESULT", tr("First raster that is written")))
        self.addOutput(QgsProcessingOutputMultipleLayers("RESULTS", tr("All rasters")))
        self.addOutput(QgsProcessingOutputFile("ITEM", tr("STAC item of the result")))
        self.addOutput(QgsProcessingOutputFile("REPORT", tr("Report of the run")))

    def look(self, parameters, context, feedback) -> None:
        self.given = values.read(self, self.fields, parameters, context, feedback)

    def work(self, parameters, context, feedback) -> dict[str, Any]:
        if not self.workflow.file.is_file():
            raise QgsProcessingException(
                tr("{file} is gone. What to do: restore it, or reload the providers.", file=self.workflow.file)
            )
        labels = {field.param.name: field.label for field in self.fields}
        report = run_workflow(self.workflow.file, self.given, feedback, labels)
        found = results.outputs_of(report)
        if self.parameterAsBoolean(parameters, LOAD, context):
            results.load(found, context)
        answer = {
            "RESULTS": [str(result.file) for result in found],
            "ITEM": results.item_file(report),
            "REPORT": report.get("report") or "",
        }
        if found:
            answer["RESULT"] = results.first(found, "class")
        for field in self.fields:
            if field.kind in (fields.FOLDER_OUT, fields.FILE_OUT) and field.param.name in self.given:
                answer[field.param.name] = self.given[field.param.name]
        return answer
