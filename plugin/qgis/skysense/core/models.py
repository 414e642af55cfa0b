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
    chip_size: int
    classes: tuple[str, ...]
    licence: str
    size: int

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        takes = ", ".join(f"{modality} ({len(bands)})" for modality, bands in self.bands.items())
        gives = tr("{count} classes", count=len(self.classes)) if self.classes else tr("features")
        return f"{self.preset}: {takes} → {gives}"


def read(answer: dict[str, Any]) -> list[Model]:
    """The sound packages of an answer."""
    return [
        Model(
            Path(told["path"]),
            told["name"],
            told.get("preset", ""),
            told.get("bands", {}),
            int(told["chip_size"]),
            tuple(told.get("classes", ())),
            told.get("licence", ""),
            int(told.get("bytes", 0)),
        )
        for told in answer.get("models", [])
    ]


def titles(models: Iterable[Model]) -> list[str]:
    """The word for each in a list: its name, with its folder where two have one name."""
    models = list(models)
    names = [model.name for model in models]
    return [
        model.name if names.count(model.name) == 1 else f"{model.name} ({model.path.name})" for model in models
    ]


def folder_of(word: str, models: Iterable[Model]) -> str:
    """The folder that a user means: a path stays, a name is looked up."""
    models = list(models)
    for title, model in zip(titles(models), models):
        if word in (title, model.name):
            return str(model.path)
    return word
