"""Workflow files: which there are, and what they take, as the command tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Sequence

ENDINGS = (".yaml", ".yml")
# Files of other programs end in .yaml too; every workflow says its format on a line of its own.
_FORMAT = re.compile(r"^skysense\s*:", re.MULTILINE)
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Param:
    """A param as its file declares it."""

    name: str
    type: str
    default: Any = None
    doc: str = ""
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    # (type of the node, JSON Pointer of the setting) for each setting that it fills.
    fills: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Workflow:
    """A workflow file that is right."""

    file: Path
    id: str
    group: str
    name: str
    doc: str
    params: tuple[Param, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Folder:
    """A folder of workflows: the word for it in ids, and its title."""

    path: Path
    key: str
    title: str


def files(folder: Path) -> list[Path]:
    """The workflow files of a folder, in the order of names."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and _is_workflow(path))


def _is_workflow(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return False
        return bool(_FORMAT.search(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False


def identifier(folder: Folder, file: Path, taken: Sequence[str] = ()) -> str:
    """An id for Processing, the same as long as the file keeps its name."""
    stem = re.sub(r"\.skysense$", "", file.stem, flags=re.IGNORECASE)
    plain = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "workflow"
    base = f"{folder.key}_{plain}"
    number = 2
    name = base
    while name in taken:
        name = f"{base}_{number}"
        number += 1
    return name


def read(
    answer: dict[str, Any], folders: Iterable[tuple[Folder, list[Path]]]
) -> tuple[list[Workflow], dict[str, list]]:
    """Workflows from what `check --json` said, and the faults of files that are wrong."""
    told = {entry.get("file"): entry for entry in answer.get("files", [])}
    found: list[Workflow] = []
    wrong: dict[str, list] = {}
    for folder, paths in folders:
        for path in paths:
            entry = told.get(str(path), {})
            if not entry.get("ok"):
                wrong[str(path)] = entry.get("faults", [])
                continue
            taken = [workflow.id for workflow in found]
            params = tuple(_param(param) for param in entry.get("params", []))
            name = entry.get("name") or path.stem
            found.append(
                Workflow(path, identifier(folder, path, taken), folder.title, name, entry.get("doc", ""), params)
            )
    return found, wrong


def _param(told: dict[str, Any]) -> Param:
    return Param(
        name=told["name"],
        type=told["type"],
        default=told.get("default"),
        doc=told.get("doc") or "",
        min=told.get("min"),
        max=told.get("max"),
        values=tuple(told.get("values") or ()),
        fills=tuple((fill["uses"], fill["pointer"]) for fill in told.get("fills") or ()),
    )
