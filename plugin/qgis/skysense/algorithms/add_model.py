"""`skysense:addmodel`: a model package among the user's models."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from .. import session
from ..core import events
from ..core.words import tr
from . import layers
from .base import SkySenseAlgorithm, tell
from .parameters import advanced

PACKAGE, HR, S2, S1, FULL, NAME, LICENCE, MISSING = (
    "PACKAGE", "HR_WEIGHTS", "S2_WEIGHTS", "S1_WEIGHTS", "FULL_WEIGHTS", "NAME", "LICENCE", "ALLOW_MISSING",
)  # fmt: skip


class AddModel(SkySenseAlgorithm):
    """A package or published weights as one of the user's models."""

    ID = "addmodel"
    TITLE = "Add a model"
    ABOUT = (
        "Adds a model to your models: a folder with a model package, or published weights (.pth or .safetensors), "
        "which become one.\n"
        "A package is checked before it is taken: its files, its weights and what it computed when it was made. "
        "Weights have a licence of their own; name it where you know it."
    )

    def initAlgorithm(self, configuration=None) -> None:
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.addParameter(QgsProcessingParameterFile(PACKAGE, tr("Model package (folder)"), folder, optional=True))
        for name, title in (
            (FULL, tr("Or weights of all parts in one file")),
            (S2, tr("Or weights of the Sentinel-2 encoder")),
            (S1, tr("Weights of the Sentinel-1 encoder")),
            (HR, tr("Weights of the high-resolution encoder")),
        ):
            self.addParameter(
                QgsProcessingParameterFile(
                    name, title, optional=True, fileFilter="Weights (*.pth *.pt *.safetensors);;All files (*.*)"
                )
            )
        self.addParameter(QgsProcessingParameterString(NAME, tr("Name (empty: its own)"), "", optional=True))
        self.addParameter(
            advanced(QgsProcessingParameterString(LICENCE, tr("Licence of the weights (SPDX)"), "", optional=True))
        )
        self.addParameter(
            advanced(QgsProcessingParameterBoolean(MISSING, tr("Go on where weights are missing"), False))
        )
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Folder of the model")))
        self.addOutput(QgsProcessingOutputString("CARD", tr("Model card")))

    def work(self, parameters, context, feedback) -> dict[str, Any]:
        package = self.parameterAsFile(parameters, PACKAGE, context)
        weights = {
            option: self.parameterAsFile(parameters, name, context)
            for name, option in ((FULL, "--full"), (S2, "--s2"), (S1, "--s1"), (HR, "--hr"))
        }
        weights = {option: os.path.abspath(file) for option, file in weights.items() if file}
        if bool(package) == bool(weights):
            raise QgsProcessingException(
                tr("One thing is added at a time. What to do: choose the folder of a package, or files with weights.")
            )
        name = self.parameterAsString(parameters, NAME, context).strip()
        listener = events.Listener()
        options = {
            "on_event": lambda event: tell(listener, event, feedback),
            "cancelled": feedback.isCanceled,
        }
        if package:
            target = _take(package, name, feedback, options)
        else:
            licence = self.parameterAsString(parameters, LICENCE, context).strip()
            missing = self.parameterAsBoolean(parameters, MISSING, context)
            target = _import(weights, name, licence, missing, options)
        model = layers.model_facts(str(target))
        feedback.pushInfo(tr("Added: {name}. {summary}. Licence: {licence}.",
                             name=model.name, summary=model.summary, licence=model.licence))  # fmt: skip
        return {"MODEL": str(target), "CARD": session.model("card", str(target)).get("card", "")}


def _take(package: str, name: str, feedback, options) -> Path:
    model = layers.model_facts(os.path.abspath(package))
    target = layers.new_model(name or model.path.name)
    feedback.pushInfo(tr("checking {folder}", folder=model.path))
    session.model("verify", str(model.path), **options)
    # Under a hidden name until it is whole.
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(model.path, partial)
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise QgsProcessingException(tr("{target} cannot be written: {why}.", target=target, why=error)) from error
    return target


def _import(weights: dict[str, str], name: str, licence: str, missing: bool, options) -> Path:
    target = layers.new_model(name or Path(next(iter(weights.values()))).stem)
    arguments = ["--out", str(target), *(part for pair in weights.items() for part in pair)]
    arguments += ["--name", name] if name else []
    arguments += ["--licence", licence] if licence else []
    arguments += ["--allow-missing"] if missing else []
    session.model("import", *arguments, **options)
    return target
