"""An algorithm in the background, with its result as layers."""

from __future__ import annotations

import json
from typing import Any, Callable

from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
)

from ..algorithms.results import layer_of, outputs_of


class Feedback(QgsProcessingFeedback):
    """Keeps the last error, which the task does not pass on."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self.error = ""
        self.on_line = on_line

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self.error = error
        super().reportError(error, fatalError)

    def pushInfo(self, info: str) -> None:
        self.on_line(info)
        super().pushInfo(info)


class Job:
    """One run: what is running, and what to do when it is done."""

    def __init__(
        self,
        algorithm: str,
        parameters: dict[str, Any],
        *,
        title: str,
        on_line: Callable[[str], None],
        on_done: Callable[[list[QgsMapLayer], str], None],
    ) -> None:
        self.title, self.on_done = title, on_done
        self.context = QgsProcessingContext()
        self.context.setProject(QgsProject.instance())
        self.feedback = Feedback(on_line)
        known = QgsApplication.processingRegistry().algorithmById(algorithm)
        self.task = QgsProcessingAlgRunnerTask(known, parameters, self.context, self.feedback)
        self.task.executed.connect(self._executed)

    def start(self) -> None:
        """Begins it."""
        QgsApplication.taskManager().addTask(self.task)

    def cancel(self) -> None:
        """Ends it."""
        self.feedback.cancel()
        self.task.cancel()

    def _executed(self, successful: bool, answer: dict[str, Any]) -> None:
        if not successful:
            self.on_done([], self.feedback.error)
            return
        with open(answer["REPORT"], encoding="utf-8") as file:
            report = json.load(file)
        layers = [layer_of(result, f"{self.title}: {result.asset}") for result in outputs_of(report)]
        self.on_done([layer for layer in layers if layer.isValid()], "")
