"""What the user sets under Settings > Options > Processing > Providers > SkySense."""

from __future__ import annotations

import os
from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsApplication, QgsProject

from .core.command import Machine
from .core.words import tr
from .core.workflows import Folder

PROVIDER = "SkySense"
BINARY, MODELS, WORKFLOWS, CATALOG, THREADS, MEMORY, DEVICE = (
    f"SKYSENSE_{name}" for name in ("BINARY", "MODELS", "WORKFLOWS", "CATALOG", "THREADS", "MEMORY", "DEVICE")
)
PUBLIC_CATALOG = "https://earth-search.aws.element84.com/v1"


def register(icon) -> None:
    """Shows the settings in the options."""
    ProcessingConfig.settingIcons[PROVIDER] = icon
    home = _home()
    for name, title, default, kind in (
        (BINARY, tr("The skysense command (empty: found by itself)"), "", Setting.FILE),
        (MODELS, tr("Folder of models"), str(home / "models"), Setting.FOLDER),
        (WORKFLOWS, tr("Folder of your workflows"), str(home / "workflows"), Setting.FOLDER),
        (CATALOG, tr("STAC catalog that forms begin with"), PUBLIC_CATALOG, Setting.STRING),
        (THREADS, tr("Processors to use (0: all)"), 0, Setting.INT),
        (MEMORY, tr("Most memory, such as 8GiB (empty: three quarters)"), "", Setting.STRING),
        (DEVICE, tr("Device of models, such as cpu or cuda (empty: the best)"), "", Setting.STRING),
    ):
        ProcessingConfig.addSetting(Setting(PROVIDER, name, title, default, valuetype=kind))
    ProcessingConfig.readSettings()


def unregister() -> None:
    """Takes them out of the options."""
    for name in (BINARY, MODELS, WORKFLOWS, CATALOG, THREADS, MEMORY, DEVICE):
        ProcessingConfig.removeSetting(name)


def text(name: str) -> str:
    """A setting; the environment has the first word, for machines without a desktop."""
    value = os.environ.get(name) or ProcessingConfig.getSetting(name) or ""
    return str(value).strip()


def machine() -> Machine:
    """What a run may use."""
    threads = text(THREADS)
    return Machine(int(threads) if threads.isdigit() else 0, text(MEMORY), text(DEVICE))


def model_folder() -> Path:
    """Where models are added."""
    return Path(text(MODELS) or _home() / "models")


def model_folders() -> list[Path]:
    """Where models are looked for: the user's folder and that of the project."""
    project = _project()
    folders = [model_folder()] + ([project / "models"] if project else [])
    return [folder for folder in folders if folder.is_dir()]


def workflow_folders() -> list[Folder]:
    """Where workflows are looked for, with the groups that they make."""
    folders = [Folder(Path(text(WORKFLOWS) or _home() / "workflows"), "user", tr("Your workflows"))]
    project = _project()
    if project:
        folders += [
            Folder(project, "project", tr("Workflows of the project")),
            Folder(project / "workflows", "project", tr("Workflows of the project")),
        ]
    library = Path(__file__).parent / "library"
    return folders + [Folder(library, "library", tr("Ready workflows"))]


def runs_folder() -> Path:
    """Where runs are kept."""
    return _home() / "runs"


def _home() -> Path:
    return Path(QgsApplication.qgisSettingsDirPath()) / "skysense"


def _project() -> Path | None:
    home = QgsProject.instance().homePath()
    return Path(home) if home else None
