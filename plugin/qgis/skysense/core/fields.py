"""Which field of a form a param becomes: by its type, and by the settings that it fills."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .workflows import Param

TEXT, CRS, RASTER, BAND, AREA, HREF, FILE, FOLDER_OUT, FILE_OUT, MODEL = (
    "text", "crs", "raster", "band", "area", "href", "file", "folder-out", "file-out", "model",
)  # fmt: skip
NUMBER, INTEGER, BOOLEAN, DATE, DATES, EXTENT, ENUM = (
    "number", "integer", "boolean", "date", "dates", "extent", "enum",
)  # fmt: skip

_FILE_HREF = re.compile(r"^/files/\d+/href$")
_FILE_BAND = re.compile(r"^/files/(\d+)/bands/")
_WRITES = {
    ("stac.write", "/href"),
    ("data.write", "/href"),
    ("objects.write", "/href"),
    ("skysense.pretrain", "/out"),
    ("skysense.finetune", "/out"),
    ("skysense.distill", "/out"),
    ("skysense.reduce", "/out"),
}
_WRITES_FILES = {("skysense.evaluate", "/out"), ("objects.evaluate", "/out")}


@dataclass(frozen=True)
class Field:
    """A field of a form."""

    param: Param
    kind: str
    label: str
    # The param with the raster whose bands this one chooses from.
    parent: str = ""

    @property
    def optional(self) -> bool:
        """Whether it may stay empty: then the workflow's default holds."""
        return self.param.default is not None


def fields(params: tuple[Param, ...]) -> list[Field]:
    """The form of a workflow."""
    rasters = _rasters(params)
    made = []
    for param in params:
        kind = kind_of(param)
        parent = _parent(param, rasters) if kind == BAND else ""
        if kind == BAND and not parent:
            kind = INTEGER
        made.append(Field(param, kind, label(param), parent))
    return made


def label(param: Param) -> str:
    """The words of a field: its doc where that is short, else its name."""
    words = param.name.replace("_", " ").replace("-", " ")
    words = words[0].upper() + words[1:]
    return f"{words} ({param.doc})" if param.doc else words


def kind_of(param: Param) -> str:
    """The kind of field."""
    fills = set(param.fills)
    pointers = {pointer for _, pointer in fills}
    in_files = [pointer for uses, pointer in fills if uses == "raster.files"]
    if param.type in ("uri", "path", "string"):
        if any(_FILE_HREF.match(pointer) for pointer in in_files):
            return RASTER
        if pointers & {"/area", "/intersects"}:
            return AREA
        if fills & _WRITES:
            return FOLDER_OUT
        if fills & _WRITES_FILES:
            return FILE_OUT
        if param.type == "string":
            return CRS if ("raster.chips", "/crs") in fills else TEXT
        return HREF if param.type == "uri" else FILE
    if param.type == "integer" and any(_FILE_BAND.match(pointer) for pointer in in_files):
        return BAND
    if param.type == "datetime":
        # A search takes an interval; anything else is a moment.
        return DATES if ("stac.search", "/datetime") in fills else DATE
    return {
        "model": MODEL,
        "number": NUMBER,
        "integer": INTEGER,
        "boolean": BOOLEAN,
        "bbox": EXTENT,
        "enum": ENUM,
    }.get(param.type, TEXT)


def _rasters(params: tuple[Param, ...]) -> dict[str, str]:
    """Which param names which file: `/files/0` → its name."""
    return {
        pointer.rsplit("/", 1)[0]: param.name
        for param in params
        for uses, pointer in param.fills
        if uses == "raster.files" and _FILE_HREF.match(pointer)
    }


def _parent(param: Param, rasters: dict[str, str]) -> str:
    for uses, pointer in param.fills:
        match = _FILE_BAND.match(pointer)
        if uses == "raster.files" and match:
            return rasters.get(f"/files/{match[1]}", "")
    return ""


def interval(start: str, end: str) -> str:
    """Two dates as an interval; an end that is not given is open, and nothing at all where neither is."""
    if not start and not end:
        return ""
    return f"{start or '..'}/{end or '..'}"


def dates_of(default: Any) -> tuple[str, str]:
    """First and last day of a default such as `2021-03-01/2021-10-31`."""
    if not isinstance(default, str) or default.startswith("$"):
        return "", ""
    start, _, end = default.partition("/")
    end = end or start
    day = re.compile(r"^\d{4}-\d{2}-\d{2}")
    first, last = (part[:10] if day.match(part) else "" for part in (start, end))
    return first, last


def bbox(west: float, south: float, east: float, north: float) -> str:
    """An extent in degrees as `-p` takes it."""
    return ",".join(repr(round(value, 7)) for value in (west, south, east, north))
