"""Classes of labels as text: `1=water#2b6cb0, 2=forest`."""

from __future__ import annotations

import colorsys
import re

from .words import tr

ClassTuple = tuple  # (value, name, colour as RRGGBB)


class ClassesError(ValueError):
    """Classes that cannot be read."""


def parse(text: str) -> list[ClassTuple]:
    """Classes by value; a colour of its own for each that names none."""
    found: list[ClassTuple] = []
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        match = re.fullmatch(r"(\d+)\s*=\s*(.+?)\s*(?:#([0-9A-Fa-f]{6}))?", part)
        if not match or int(match[1]) > 255:
            raise ClassesError(
                tr("“{part}” is no class. Write value and name, with a colour or without: 1=water#2b6cb0.", part=part)
            )
        if any(value == int(match[1]) for value, _, _ in found):
            raise ClassesError(tr("The value {value} has two names.", value=match[1]))
        found.append((int(match[1]), match[2], (match[3] or "").lower()))
    return [(value, name, color or color_of(place)) for place, (value, name, color) in enumerate(found)]


def of_values(names: list[str]) -> list[ClassTuple]:
    """Classes of the distinct values of an attribute, in their order: 1, 2, 3, …"""
    distinct = sorted(set(names), key=_natural)
    if not distinct:
        raise ClassesError(
            tr("The label layer has no value in this field. What to do: choose the field with the classes.")
        )
    if len(distinct) > 254:
        raise ClassesError(
            tr(
                "The field has {count} different values, and at most 254 classes can be learned. "
                "What to do: choose the field with the classes.",
                count=len(distinct),
            )  # fmt: skip
        )
    return [(place + 1, name, color_of(place)) for place, name in enumerate(distinct)]


def color_of(place: int) -> str:
    """A colour that differs from those before it: hues a golden angle apart."""
    red, green, blue = colorsys.hls_to_rgb((0.58 + place * 0.381966) % 1.0, 0.45 + 0.12 * (place % 3), 0.55)
    return "".join(f"{round(part * 255):02x}" for part in (red, green, blue))


def _natural(text: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]
