"""Model packages, as `skysense model list` tells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from .words import tr

# What a model's task is called, and the algorithm that applies it.
TASKS = {
    "segmentation": ("a class for each pixel", "segment"),
    "regression": ("a number for each pixel", "segment"),
    "classification": ("a class for each chip", "segment"),
    "multi_label": ("any classes for each chip", "segment"),
    "change": ("change between two times", "change"),
    "detection": ("objects as upright boxes", "detect"),
    "oriented_detection": ("objects as rotated boxes", "detect"),
}
FEATURES = "embed"


@dataclass(frozen=True)
class Model:
    """A model package."""

    path: Path
    name: str
    preset: str
    bands: dict[str, list[str]]
    # Most dates by modality.
    dates: dict[str, int]
    chip_size: int
    classes: tuple[str, ...]
    licence: str
    size: int
    # What it was trained for; empty for a model that gives features alone.
    task: str = ""

    @property
    def most_dates(self) -> int:
        """The longest series that all of its inputs take."""
        return min(self.dates.values(), default=12)

    @property
    def algorithm(self) -> str:
        """The algorithm that applies it."""
        return TASKS[self.task][1] if self.task in TASKS else FEATURES

    @property
    def gives(self) -> str:
        """What it gives, in words."""
        if not self.task:
            return tr("features")
        words = tr(TASKS[self.task][0]) if self.task in TASKS else self.task
        return f"{words} ({tr('{count} classes', count=len(self.classes))})" if self.classes else words

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        takes = ", ".join(f"{modality} ({len(bands)})" for modality, bands in self.bands.items())
        return f"{self.name} ({self.preset}): {takes} → {self.gives}"


def read(answer: dict[str, Any]) -> list[Model]:
    """The sound packages of an answer."""
    return [
        Model(
            Path(told["path"]),
            told["name"],
            told.get("preset", ""),
            told.get("bands", {}),
            told.get("dates", {}),
            int(told["chip_size"]),
            tuple(told.get("classes", ())),
            told.get("licence", ""),
            int(told.get("bytes", 0)),
            told.get("task") or "",
        )
        for told in answer.get("models", [])
    ]


def titles(models: Iterable[Model]) -> list[str]:
    """The word for each in a list: its folder's name, which the user gave, with where that is if two have one name."""
    models = list(models)
    names = [model.path.name for model in models]
    return [name if names.count(name) == 1 else f"{name} ({model.path.parent})" for name, model in zip(names, models)]


def folder_of(word: str, models: Iterable[Model]) -> str:
    """The folder that a user means: a path stays, a name is looked up."""
    models = list(models)
    for title, model in zip(titles(models), models):
        if word in (title, model.path.name, model.name):
            return str(model.path)
    return word
