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
from qgis.PyQt.QtCore import Qt, pyqtSignal

from ..algorithms.results import layer_of, outputs_of
from ..core.words import tr

# What runs has its context and feedback in Python: they stay until it is over, whatever becomes of the dock.
_running: set[Job] = set()


class Feedback(QgsProcessingFeedback):
    """Keeps the last error, which the task does not pass on, and brings lines to the thread of the dock."""

    line = pyqtSignal(str)

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self.error = ""
        # Algorithms speak on a thread of their own, and widgets may be touched on theirs alone.
        self.line.connect(on_line, Qt.ConnectionType.QueuedConnection)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self.error = error
        super().reportError(error, fatalError)

    def pushInfo(self, info: str) -> None:
        self.line.emit(info)
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
        _running.add(self)
        QgsApplication.taskManager().addTask(self.task)

    def cancel(self) -> None:
        """Ends it, if it is not over: QGIS deletes tasks that are."""
        if self in _running:
            self.feedback.cancel()
            self.task.cancel()

    def leave(self) -> None:
        """Ends it, and tells nobody any more."""
        self.on_done = _nobody
        if self in _running:
            self.feedback.line.disconnect()
            self.cancel()

    def _executed(self, successful: bool, answer: dict[str, Any]) -> None:
        _running.discard(self)
        if not successful:
            self.on_done([], self.feedback.error)
            return
        try:
            with open(answer["REPORT"], encoding="utf-8") as file:
                report = json.load(file)
            layers = [layer_of(result, f"{self.title}: {result.asset}") for result in outputs_of(report)]
        except (OSError, ValueError, KeyError) as error:
            self.on_done([], tr("The result cannot be read: {why}. What to do: run it again.", why=error))
            return
        self.on_done([layer for layer in layers if layer.isValid()], "")


def _nobody(layers: list[QgsMapLayer], error: str) -> None:
    """Hears what nobody waits for."""
