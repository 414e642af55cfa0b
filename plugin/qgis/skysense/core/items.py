"""What an item says about the rasters and outlines that a run wrote: for layers with a legend, metadata and dates."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLASSES, SHARES, PLAIN, OBJECTS = "classes", "shares", "plain", "objects"
# Files with outlines, best to show first.
VECTOR = (".gpkg", ".fgb", ".parquet")


@dataclass(frozen=True)
class ClassEntry:
    """An entry of a legend."""

    value: int
    name: str
    color: str


@dataclass(frozen=True)
class Result:
    """A raster, or a file of outlines, with what is known of it."""

    file: Path
    asset: str
    title: str
    style: str
    classes: tuple[ClassEntry, ...] = ()
    item: dict[str, Any] | None = None

    @property
    def interval(self) -> tuple[str, str]:
        """First and last moment; empty where the item says none."""
        properties = (self.item or {}).get("properties", {})
        start = properties.get("start_datetime") or properties.get("datetime") or ""
        return start, properties.get("end_datetime") or start

    @property
    def lineage(self) -> str:
        """How it was made, in a sentence."""
        return (self.item or {}).get("properties", {}).get("processing:lineage", "")

    @property
    def history(self) -> list[str]:
        """What was decided about the data."""
        decisions = (self.item or {}).get("properties", {}).get("skysense:decisions", [])
        return [f"{one.get('what')}: {one.get('decision')} ({len(one.get('items', []))} items)" for one in decisions]

    @property
    def facts(self) -> dict[str, str]:
        """Provenance as name and value."""
        properties = (self.item or {}).get("properties", {})
        wanted = ("mlm:name", "mlm:architecture", "skysense:model_licence", "skysense:workflow_sha256",
                  "skysense:model_sha256", "skysense:valid_percent")  # fmt: skip
        return {name: str(properties[name]) for name in wanted if name in properties}

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Items and model behind it: (name, href)."""
        links = (self.item or {}).get("links", [])
        return [
            (link.get("title") or Path(link["href"]).stem, link["href"])
            for link in links
            if link.get("rel") == "derived_from" and link.get("href")
        ]


def results(outputs: list[dict[str, Any]]) -> list[Result]:
    """The rasters and outlines of a run's report, in its order."""
    items = [Path(output["href"]) for output in outputs if output.get("role") == "item"]
    known: dict[Path, tuple[dict[str, Any], str]] = {}
    for file in items:
        item = json.loads(file.read_text(encoding="utf-8"))
        for key, asset in item.get("assets", {}).items():
            known[(file.parent / asset.get("href", "")).resolve()] = (item, key)
    found = []
    for output in outputs:
        file = Path(output.get("href", ""))
        if output.get("role") in ("asset", "data") and file.suffix.lower() in (".tif", ".tiff", *VECTOR):
            item, key = known.get(file.resolve(), (None, file.stem))
            found.append(_result(file, key, item))
    return found


def _result(file: Path, key: str, item: dict[str, Any] | None) -> Result:
    asset = (item or {}).get("assets", {}).get(key, {})
    classes = tuple(_class(entry) for entry in asset.get("classification:classes", []) if not entry.get("nodata"))
    title = (item or {}).get("properties", {}).get("title") or file.parent.name
    if file.suffix.lower() in VECTOR:
        return Result(file, key, title, OBJECTS, classes, item)
    style = CLASSES if classes else SHARES if key in ("probability", "entropy") else PLAIN
    return Result(file, key, f"{title}: {key}", style, classes, item)


def _class(entry: dict[str, Any]) -> ClassEntry:
    name = entry.get("title") or entry.get("name") or entry.get("description") or f"{entry['value']}"
    color = str(entry.get("color_hint") or "").lstrip("#")
    return ClassEntry(int(entry["value"]), str(name), color if re.fullmatch(r"[0-9A-Fa-f]{6}", color) else "999999")
