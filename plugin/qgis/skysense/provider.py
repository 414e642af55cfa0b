"""The Processing provider: ready algorithms, and one for each workflow file."""

from __future__ import annotations

import contextlib

from qgis.core import Qgis, QgsMessageLog, QgsProcessingException, QgsProcessingProvider, QgsProject

from . import icons, session, settings
from .algorithms.add_model import AddModel
from .algorithms.change import Change
from .algorithms.detect import Detect
from .algorithms.embed import Embed
from .algorithms.finetune import Finetune
from .algorithms.search import Search
from .algorithms.segment import Segment
from .algorithms.workflow import WorkflowAlgorithm
from .core import binary, messages, process
from .core.words import tr

LOG = "SkySense"


class SkySenseProvider(QgsProcessingProvider):
    """Algorithms of the skysense command."""

    def __init__(self) -> None:
        super().__init__()
        self._warning = ""
        self._home = ""

    def id(self) -> str:
        return "skysense"

    def name(self) -> str:
        return "SkySense"

    def longName(self) -> str:
        return tr("SkySense: satellite images to maps")

    def icon(self):
        return icons.icon()

    def svgIconPath(self) -> str:
        return icons.FILE

    def versionInfo(self) -> str:
        try:
            return session.version()
        except binary.Missing:
            return ""

    def warningMessage(self) -> str:
        return self._warning

    def load(self) -> bool:
        settings.register(icons.icon())
        project = QgsProject.instance()
        for signal, act in self._signals(project):
            signal.connect(act)
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        for signal, act in self._signals(QgsProject.instance()):
            # Where QGIS itself is ending, it has cut it already.
            with contextlib.suppress(TypeError):
                signal.disconnect(act)
        settings.unregister()

    def loadAlgorithms(self) -> None:
        self._warning = ""
        self._home = QgsProject.instance().homePath()
        for algorithm in (Segment(), Embed(), Detect(), Change(), Finetune(), Search(), AddModel()):
            self.addAlgorithm(algorithm)
        try:
            found, wrong = session.describe(settings.workflow_folders())
        except (binary.Missing, QgsProcessingException, OSError) as error:
            self._warning = str(error)
            QgsMessageLog.logMessage(str(error), LOG, Qgis.MessageLevel.Warning)
            return
        for workflow in found:
            self.addAlgorithm(WorkflowAlgorithm(workflow))
        for file, faults in wrong.items():
            words = messages.explain(process.Outcome(1, {"faults": faults}))
            text = tr("The workflow {file} is no algorithm. {why}", file=file, why=words)
            QgsMessageLog.logMessage(text, LOG, Qgis.MessageLevel.Warning)
        if wrong:
            names = ", ".join(wrong)
            self._warning = tr("Workflows with mistakes, told in the log under SkySense: {names}", names=names)

    def _project_changed(self, *_) -> None:
        self.refreshAlgorithms()

    def _folder_changed(self, *_) -> None:
        if QgsProject.instance().homePath() != self._home:
            self.refreshAlgorithms()

    def _signals(self, project: QgsProject):
        """A project brings workflows and models of its own, and has a folder once it is saved."""
        return (
            (project.readProject, self._project_changed),
            (project.cleared, self._project_changed),
            (project.homePathChanged, self._folder_changed),
            (project.projectSaved, self._folder_changed),
        )
