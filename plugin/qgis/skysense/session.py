"""The command as this QGIS uses it: found once, asked, and what it said kept while nothing changes."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Sequence

from qgis.core import QgsApplication, QgsProcessingException

from . import settings
from .core import binary, command, messages, process, workflows
from .core.models import Model
from .core.models import read as read_models

PLUGIN = Path(__file__).parent

_lock = threading.RLock()
_checked: dict[tuple[str, float], str] = {}
_described: dict[tuple, dict[str, Any]] = {}
_models: dict[tuple, dict[str, Any]] = {}
_sensors: dict[tuple[str, float], list[dict[str, Any]]] = {}


def find() -> Path:
    """The command, of a version that fits; `Missing` says why there is none."""
    found = binary.find(settings.text(settings.BINARY), os.environ, PLUGIN)
    key = _stamp(found)
    with _lock:
        if key not in _checked:
            outcome = call_raw(command.version(found))
            _checked[key] = binary.check_version("".join(outcome.tail), found)
    return found


def version() -> str:
    """The version of the command."""
    return _checked[_stamp(find())]


def environment() -> dict[str, str]:
    """The environment of the command."""
    prefix = QgsApplication.prefixPath()
    return binary.surroundings(os.environ, Path(prefix) if prefix else None)


def call_raw(line: Sequence[str]) -> process.Outcome:
    """A call that answers with text; the text is in the tail."""
    try:
        done = subprocess.run(
            list(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=60,
            check=False,
            creationflags=process.NO_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise binary.Missing(f"{line[0]}: {error}. {binary.how_to_get()}") from error
    return process.Outcome(done.returncode, None, done.stdout.decode("utf-8", "replace").splitlines())


def call(
    line: Sequence[str],
    *,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> process.Outcome:
    """A call that answers with JSON."""
    try:
        return process.run(line, environment=environment(), on_event=on_event, cancelled=cancelled)
    except OSError as error:
        raise QgsProcessingException(f"{line[0]}: {error}. {binary.how_to_get()}") from error


def tool(name: str, arguments: dict[str, Any], **options) -> dict[str, Any]:
    """What a tool answers."""
    return _answer(call(command.tool(find(), name, json.dumps(arguments)), **options))


def model(verb: str, *arguments: str, **options) -> dict[str, Any]:
    """What `skysense model VERB` answers."""
    return _answer(call(command.model(find(), verb, *arguments), **options))


def models() -> list[Model]:
    """The models of the user and the project."""
    return read_models(_listed())


def broken_models() -> list[tuple[str, str]]:
    """Folders among them that hold no sound model, and why not."""
    return [(str(one.get("path", "")), str(one.get("reason", ""))) for one in _listed().get("broken") or []]


def _listed() -> dict[str, Any]:
    """What the command says of the folders of models, asked anew when one came, went or changed."""
    folders = settings.model_folders()
    if not folders:
        return {}
    records = sorted(record for folder in folders for record in folder.glob("*/model.yaml"))
    key = (_stamp(find()), tuple(_stamp(one) for one in [*folders, *records]))
    with _lock:
        if key not in _models:
            _models.clear()
            _models[key] = model("list", *map(str, folders))
        return _models[key]


def forget_models() -> None:
    """Models that lie deeper than the folders above show are read anew too."""
    with _lock:
        _models.clear()


def sensors() -> list[dict[str, Any]]:
    """The sensors with the names of their bands."""
    key = _stamp(find())
    with _lock:
        if key not in _sensors:
            _sensors[key] = tool("stac.sensors", {})["sensors"]
        return _sensors[key]


def describe(folders: Sequence[workflows.Folder]) -> tuple[list[workflows.Workflow], dict[str, list]]:
    """The workflows of these folders, and what is wrong with those that are wrong."""
    listed = [(folder, workflows.files(folder.path)) for folder in folders]
    files = [file for _, found in listed for file in found]
    if not files:
        return [], {}
    found = find()
    key = (_stamp(found), tuple((str(file), file.stat().st_mtime_ns) for file in files))
    with _lock:
        if key not in _described:
            outcome = call(command.check(found, files))
            # Files that are wrong make the exit differ from 0: each says so for itself.
            if outcome.answer is None:
                raise QgsProcessingException(messages.explain(outcome))
            _described.clear()
            _described[key] = outcome.answer
        return workflows.read(_described[key], listed)


def _answer(outcome: process.Outcome) -> dict[str, Any]:
    if outcome.exit != 0 or outcome.answer is None:
        raise QgsProcessingException(messages.explain(outcome, own_file=True))
    return outcome.answer


def _stamp(file: Path) -> tuple[str, float]:
    return str(file), file.stat().st_mtime
