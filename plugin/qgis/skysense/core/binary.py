"""Where the `skysense` command is, and whether it fits this plugin."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Mapping

from .words import tr

VARIABLE = "SKYSENSE_BINARY"
INSTALLED = "installed.json"
# The plugin reads what `check --json` says of params and uses `raster.files`, which came with this version.
NEEDED = (0, 1)


class Missing(Exception):
    """The command is not there, is another one, or does not start."""


def how_to_get() -> str:
    """What to do where there is no command."""
    return tr(
        "Install skysense (its README says how), then either put it on the PATH, or name it under "
        "Settings > Options > Processing > Providers > SkySense, or run `skysense qgis install`, "
        "which tells the plugin where it is."
    )


def find(setting: str, environment: Mapping[str, str], plugin: Path) -> Path:
    """The command: what the user set, the environment, what installed the plugin, then the PATH."""
    for named, where in ((setting, tr("the settings name")), (environment.get(VARIABLE, ""), VARIABLE)):
        if named:
            # A choice that does not hold is told, not replaced by another one.
            return _existing(named, where, environment)
    installed = plugin / INSTALLED
    if installed.is_file():
        try:
            named = json.loads(installed.read_text(encoding="utf-8")).get("binary") or ""
        except (OSError, ValueError, AttributeError) as error:
            raise Missing(
                tr("{file} cannot be read: {why}. {how}", file=installed, why=error, how=how_to_get())
            ) from error
        if named and os.access(named, os.X_OK):
            return Path(named)
    found = shutil.which("skysense", path=environment.get("PATH"))
    if found:
        return Path(found)
    raise Missing(tr("The skysense command was not found. {how}", how=how_to_get()))


def _existing(named: str, where: str, environment: Mapping[str, str]) -> Path:
    found = shutil.which(os.path.expanduser(named), path=environment.get("PATH"))
    if found:
        return Path(found)
    raise Missing(
        tr(
            "{where} {named}, which is no program that can be started. {how}",
            where=where,
            named=named,
            how=how_to_get(),
        )
    )


def check_version(text: str, binary: Path) -> str:
    """The version that `--version` printed, if it fits."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)\S*", text)
    if not match or "skysense" not in text:
        raise Missing(tr("{binary} is not the skysense command. {how}", binary=binary, how=how_to_get()))
    found = (int(match[1]), int(match[2]))
    if found != NEEDED:
        needed = ".".join(map(str, NEEDED))
        advice = tr("Update the command.") if found < NEEDED else tr("Update the plugin with `skysense qgis install`.")
        raise Missing(
            tr(
                "{binary} is skysense {found}, and this plugin works with {needed}. {advice}",
                binary=binary,
                found=match[0],
                needed=needed,
                advice=advice,
            )
        )
    return match[0]


def surroundings(environment: Mapping[str, str], inside: Path | None) -> dict[str, str]:
    """The environment for the command: without what QGIS set for its own libraries, which may be others."""
    names = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA", "LD_LIBRARY_PATH")
    kept = dict(environment)
    prefix = str(inside) if inside else ""
    for name in names:
        # Those of the system are the command's too.
        if prefix not in ("", "/", "/usr", "/usr/local") and kept.get(name, "").startswith(prefix):
            del kept[name]
    return kept
