"""Bands of a layer and bands of a sensor."""

from __future__ import annotations

import re
from typing import Iterable, Sequence

from .words import tr


class BandsError(ValueError):
    """A mapping that cannot be read."""


def parse(text: str) -> dict[str, int]:
    """`B02=1, B03=2` as a mapping."""
    mapping: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        name, sign, number = (piece.strip() for piece in part.replace(":", "=", 1).partition("="))
        if not sign or not number.isdigit() or int(number) < 1:
            raise BandsError(
                tr("“{part}” names no band. Write which band of the file is which: B02=1, B03=2.", part=part)
            )
        if name in mapping:
            raise BandsError(tr("{name} is mapped twice.", name=name))
        mapping[name] = int(number)
    return mapping


def text(mapping: dict[str, int]) -> str:
    """A mapping as text."""
    return ", ".join(f"{name}={number}" for name, number in mapping.items())


def guess(names: Sequence[str], known: Iterable[str]) -> dict[str, int]:
    """The mapping that the names of a file's bands give by themselves; empty where they do not name the sensor's."""
    spelled = {_plain(name): name for name in known}
    mapping: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        found = spelled.get(_plain(name))
        if found and found not in mapping:
            mapping[found] = number
    return mapping


def description(band_name: str) -> str:
    """The file's own word in what QGIS calls a band: `Band 1: B02 (Gray)` or `Band 1 - B02`."""
    match = re.match(r"^\s*Band\s+\d+\s*(?:[:\-]\s*(.*))?$", band_name)
    own = (match[1] or "") if match else band_name
    return re.sub(r"\s*\((?:Gray|Palette|Red|Green|Blue|Alpha|Undefined)\)\s*$", "", own).strip()


def _plain(name: str) -> str:
    plain = re.sub(r"[\s_\-]+", "", name).lower()
    return re.sub(r"^b(\d)$", r"b0\1", plain)
