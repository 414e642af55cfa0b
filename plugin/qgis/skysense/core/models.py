"""Model packages, as `skysense model list` tells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from .words import tr


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

    @property
    def most_dates(self) -> int:
        """The longest series that all of its inputs take."""
        return min(self.dates.values(), default=12)

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        takes = ", ".join(f"{modality} ({len(bands)})" for modality, bands in self.bands.items())
        gives = tr("{count} classes", count=len(self.classes)) if self.classes else tr("features")
        return f"{self.name} ({self.preset}): {takes} → {gives}"


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
