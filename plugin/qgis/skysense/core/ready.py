"""Workflows of the ready algorithms, as the JSON that is YAML too: the same files run from the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fields import interval

# The collection that rasters by path are of.
FILES = "files"
RADIOMETRY: dict[str, dict[str, Any]] = {
    "auto": {},
    "offset_0": {"offset": 0},
    "offset_1000": {"offset": -0.1},
    "reflectance": {"scale": 1, "offset": 0},
    "linear": {"unit": "linear"},
    "decibel": {"unit": "decibel"},
}


@dataclass(frozen=True)
class Raster:
    """A raster layer as an image."""

    href: str
    bands: dict[str, int] = field(default_factory=dict)
    datetime: str = ""
    id: str = ""
    # Which raster of the file, where it holds several.
    subdataset: str = ""


@dataclass(frozen=True)
class Images:
    """Where images come from: a catalog, raster layers, or both."""

    catalog: str = ""
    collections: tuple[str, ...] = ()
    rasters: tuple[Raster, ...] = ()
    sensor: str = ""
    radiometry: str = "auto"
    start: str = ""
    end: str = ""
    cloud_cover: float | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Grid:
    """What the images are brought onto."""

    bbox: tuple[float, float, float, float] | None = None
    crs: str = ""
    resolution: float = 10.0
    size: int = 16
    modalities: tuple[str, ...] = ()
    period: str = "none"
    dates: int = 12
    mask: str = "clouds"
    bands: str = "all"
    # Pixels that chips share; left out, what the command takes.
    overlap: int | None = None


@dataclass(frozen=True)
class Use:
    """A model over images, and where what it gives is written."""

    images: Images
    grid: Grid
    # Folder of the package.
    model: str
    # Folder of the result, and the id of its collection.
    out: str
    collection: str
    # Images of an earlier time, for a model that compares two.
    before: Images | None = None


@dataclass(frozen=True)
class Labels:
    """A label raster and what its values mean."""

    href: str
    # (value, name, colour as RRGGBB)
    classes: tuple[tuple[int, str, str], ...]
    subdataset: str = ""

    def node(self) -> dict[str, Any]:
        """The node that gives their items."""
        classes = [{"value": value, "name": name, "color": color} for value, name, color in self.classes]
        file = {"href": self.href, **({"subdataset": self.subdataset} if self.subdataset else {})}
        return {"uses": "raster.files", "with": {"collection": "labels", "classes": classes, "files": [file]}}


@dataclass(frozen=True)
class Described:
    """Labels that are told by a catalog of their own: numbers, or objects with a field that names their class."""

    catalog: str
    # What it names outside of its folder.
    file: str
    field: str = ""

    def node(self) -> dict[str, Any]:
        """The node that gives their items."""
        return {"uses": "stac.search", "with": {"href": self.catalog, "allow_paths": [self.file]}}


@dataclass(frozen=True)
class Training:
    """How a model is trained."""

    out: str
    name: str
    preset: str = "tiny"
    start: str = ""
    steps: int = 300
    holdout: float = 0.25
    seed: int = 0
    frozen: bool = False
    task: str = "segmentation"
    balanced: bool = False


def search(images: Images, bbox: tuple[float, float, float, float] | None) -> dict[str, Any]:
    """The settings of `stac.search`, which the tool `stac.items` takes too."""
    settings: dict[str, Any] = {"href": images.catalog}
    if images.collections:
        settings["collections"] = list(images.collections)
    when = interval(images.start, images.end)
    if when:
        settings["datetime"] = when
    if bbox:
        settings["bbox"] = list(bbox)
    if images.cloud_cover is not None:
        settings["cloud_cover"] = images.cloud_cover
    if images.limit:
        settings["limit"] = images.limit
    return settings


def _items(images: Images, grid: Grid, suffix: str) -> tuple[dict[str, Any], dict[str, str] | str]:
    """Nodes that give items, and the `from` of who reads them."""
    nodes: dict[str, Any] = {}
    names: list[str] = []
    if images.rasters:
        nodes[f"layers{suffix}"] = {
            "uses": "raster.files",
            "with": {"sensor": images.sensor, "files": [_file(raster) for raster in images.rasters]},
        }
        names.append(f"layers{suffix}")
    if images.catalog:
        nodes[f"scenes{suffix}"] = {"uses": "stac.search", "with": search(images, grid.bbox)}
        names.append(f"scenes{suffix}")
    return nodes, names[0] if len(names) == 1 else {"items": names[0], "also": names[1]}


def _file(raster: Raster) -> dict[str, Any]:
    optional = {
        "bands": raster.bands,
        "datetime": raster.datetime,
        "id": raster.id,
        "subdataset": raster.subdataset,
    }
    return {"href": raster.href, **{name: value for name, value in optional.items() if value}}


def _chips(images: Images, grid: Grid) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "resolution": grid.resolution,
        "size": grid.size,
        "mask": grid.mask,
        "period": grid.period,
        "dates": {"max": grid.dates, "prefer": "clear"},
        "bands": grid.bands,
    }
    if grid.bbox:
        settings["bbox"] = list(grid.bbox)
    if grid.crs:
        settings["crs"] = grid.crs
    if grid.overlap is not None:
        settings["overlap"] = grid.overlap
    if grid.modalities:
        settings["modalities"] = list(grid.modalities)
    stated = RADIOMETRY[images.radiometry]
    if stated and images.rasters:
        settings["radiometry"] = {FILES: stated}
    return settings


def _workflow(name: str, images: Images, before: Images | None, grid: Grid, after: dict[str, Any]) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for these, suffix, chips in ((images, "", "chips"), (before, "-before", "before")):
        if these is not None:
            found, source = _items(these, grid, suffix)
            nodes.update(found)
            nodes[chips] = {"uses": "raster.chips", "from": source, "with": _chips(these, grid)}
    return {"skysense": 1, "name": name, "nodes": {**nodes, **after}}


def segment(use: Use, outputs: list[str]) -> dict[str, Any]:
    """A map of what the head says; no outputs mean those of its task."""
    name = "map of change" if use.before else "map"
    return _apply(name, use, "skysense.segment", "stac.write", {"outputs": outputs} if outputs else {})


def embed(use: Use, dtype: str) -> dict[str, Any]:
    """Features of each pixel."""
    return _apply("features", use, "skysense.embed", "stac.write", {"dtype": dtype})


def detect(use: Use, file_format: str) -> dict[str, Any]:
    """Objects as outlines."""
    return _apply("objects", use, "skysense.detect", "objects.write", {"formats": [file_format]})


def _apply(name: str, use: Use, node: str, writer: str, written: dict[str, Any]) -> dict[str, Any]:
    """A model between the chips and what is written."""
    bands = "subset" if use.grid.bands == "subset" else "all"
    target = {"href": use.out, "collection": use.collection, "exists": "replace", **written}
    source = {"chips": "chips", "before": "before"} if use.before else "chips"
    return _workflow(
        name,
        use.images,
        use.before,
        use.grid,
        {
            "model": {"uses": node, "from": source, "with": {"model": use.model, "bands": bands}},
            "written": {"uses": writer, "from": "model", "with": target},
        },
    )


def finetune(
    images: Images, before: Images | None, grid: Grid, labels: Labels | Described, training: Training
) -> dict[str, Any]:
    """A model that learned a label layer."""
    settings: dict[str, Any] = {
        "task": training.task,
        "name": training.name,
        "steps": training.steps,
        "holdout": {"share": training.holdout, "side": "east"},
        "seed": training.seed,
        "frozen": training.frozen,
        "out": training.out,
        "exists": "replace",
    }
    settings.update({"start": training.start} if training.start else {"preset": training.preset})
    if training.balanced:
        settings["class_weights"] = "balanced"
    if isinstance(labels, Described) and labels.field:
        settings["objects"] = {"field": labels.field}
    source = {"chips": "chips", "labels": "labels", **({"before": "before"} if before else {})}
    return _workflow(
        "fine-tuning",
        images,
        before,
        grid,
        {
            "labels": labels.node(),
            "model": {"uses": "skysense.finetune", "from": source, "with": settings},
        },
    )


def write(workflow: dict[str, Any], file: Path) -> Path:
    """Writes a workflow as a file that `skysense run` takes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(workflow, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
