"""What all algorithms share: names, help, whether they can run, and how the command is run with feedback."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Mapping

from qgis.core import QgsCsException, QgsProcessingAlgorithm, QgsProcessingException, QgsProcessingFeedback

from .. import icons, session, settings
from ..core import binary, command, events, messages
from ..core.words import tr

HELP = "https://github.com/skysense-workflows/skysense/blob/main/docs/QGIS.md"


# What QGIS would tell as a trace of Python.
TROUBLE = (binary.Missing, OSError, QgsCsException)


class SkySenseAlgorithm(QgsProcessingAlgorithm):
    """An algorithm on top of the command."""

    ID = ""
    TITLE = ""
    ABOUT = ""
    TAGS = ("skysense", "satellite", "deep learning", "stac")

    def createInstance(self):
        return type(self)()

    def name(self) -> str:
        return self.ID

    def displayName(self) -> str:
        return tr(self.TITLE)

    def group(self) -> str:
        return ""

    def groupId(self) -> str:
        return ""

    def tags(self) -> list[str]:
        return list(self.TAGS)

    def shortDescription(self) -> str:
        return tr(self.ABOUT).split("\n")[0]

    def shortHelpString(self) -> str:
        paragraphs = (html.escape(part) for part in tr(self.ABOUT).split("\n"))
        return "".join(f"<p>{part}</p>" for part in paragraphs if part)

    def helpUrl(self) -> str:
        return HELP

    def icon(self):
        return icons.icon()

    def svgIconPath(self) -> str:
        return icons.FILE

    def look(self, parameters: dict[str, Any], context, feedback) -> None:
        """Looks into layers, on the thread that they belong to."""

    def work(self, parameters: dict[str, Any], context, feedback) -> dict[str, Any]:
        """Does it, on any thread."""
        raise NotImplementedError

    def prepareAlgorithm(self, parameters, context, feedback) -> bool:
        # QGIS tells whoever called it from Python of errors in the next step alone.
        self.trouble = ""
        try:
            self.look(parameters, context, feedback)
        except QgsProcessingException as error:
            self.trouble = str(error)
        except TROUBLE as error:
            self.trouble = _told(error)
        return True

    def processAlgorithm(self, parameters, context, feedback) -> dict[str, Any]:
        if self.trouble:
            raise QgsProcessingException(self.trouble)
        try:
            return self.work(parameters, context, feedback)
        except TROUBLE as error:
            raise QgsProcessingException(_told(error)) from error

    def canExecute(self):
        try:
            session.find()
        except binary.Missing as missing:
            return False, str(missing)
        return True, ""


def _told(error: Exception) -> str:
    """What happened, in words."""
    if isinstance(error, OSError):
        return tr("{file} cannot be read or written: {why}. What to do: choose another folder, or mend what is wrong.",
                  file=error.filename or "", why=error.strerror or error)  # fmt: skip
    if isinstance(error, QgsCsException):
        return tr("The area cannot be told in the reference system that is needed: {why}. What to do: choose a smaller "
                  "area, and look whether the layers have the reference system that they say.", why=error)  # fmt: skip
    return str(error)


def run_workflow(
    file: Path,
    params: Mapping[str, str],
    feedback: QgsProcessingFeedback,
    labels: Mapping[str, str] | None = None,
    own_file: bool = False,
) -> dict[str, Any]:
    """Runs a workflow file and gives its report."""
    line = command.run(session.find(), file, params, settings.runs_folder(), settings.machine())
    feedback.pushCommandInfo(" ".join(_quoted(part) for part in line))
    listener = events.Listener()
    outcome = session.call(line, on_event=lambda event: tell(listener, event, feedback), cancelled=feedback.isCanceled)
    if outcome.cancelled:
        raise QgsProcessingException(tr("The run was cancelled; nothing half written was left."))
    if outcome.exit != 0 or outcome.answer is None:
        raise QgsProcessingException(messages.explain(outcome, labels, own_file))
    left_out = len(outcome.answer.get("skipped") or [])
    if left_out:
        feedback.pushWarning(tr("{count} inputs were left out; the lines above say why.", count=left_out))
    feedback.setProgress(100)
    return outcome.answer


def tell(listener: events.Listener, event: dict[str, Any], feedback: QgsProcessingFeedback) -> None:
    """Passes an event on to the dialog."""
    push = {
        events.INFO: feedback.pushInfo,
        events.WARNING: feedback.pushWarning,
        events.DETAIL: feedback.pushDebugInfo,
    }
    for level, text in listener.hear(event):
        push[level](text)
    feedback.setProgress(listener.percent)


def _quoted(part: str) -> str:
    return f'"{part}"' if any(char in part for char in " &;|<>$'") else part
