"""A catalog of one item around a file of labels, which the command searches like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "labels"


def write(folder: Path, file: Path, media_type: str, bbox: tuple[float, float, float, float]) -> Path:
    """Writes it; the file may lie in the folder or elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": NAME,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(bbox),
        # Labels hold for whatever time they are used for.
        "properties": {
            "datetime": None,
            "start_datetime": "1970-01-01T00:00:00Z",
            "end_datetime": "2100-01-01T00:00:00Z",
        },
        "links": [{"rel": "root", "href": "catalog.json"}, {"rel": "parent", "href": "catalog.json"}],
        "assets": {NAME: {"href": str(file), "type": media_type, "roles": ["data", "labels"]}},
    }
    catalog = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": NAME,
        "description": "Labels that a model was trained on.",
        "links": [{"rel": "root", "href": "catalog.json"}, {"rel": "item", "href": f"{NAME}.json"}],
    }
    _put(folder / f"{NAME}.json", item)
    return _put(folder / "catalog.json", catalog)


def _put(file: Path, value: dict[str, Any]) -> Path:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
