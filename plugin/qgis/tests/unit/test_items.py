"""Items as legends and metadata."""

import json
import tempfile
import unittest
from pathlib import Path

from skysense.core import items

ITEM = {
    "id": "map-all",
    "properties": {
        "title": "map, all",
        "datetime": None,
        "start_datetime": "2021-03-18T09:31:36Z",
        "end_datetime": "2021-09-07T09:31:36Z",
        "processing:lineage": "4 items",
        "mlm:name": "tiny",
        "skysense:decisions": [{"what": "radiometry", "decision": "offset 0", "items": ["a", "b"]}],
    },
    "links": [{"rel": "derived_from", "href": "../../scene/S2A.json"}, {"rel": "root", "href": "x"}],
    "assets": {
        "class": {
            "href": "./class.tif",
            "classification:classes": [
                {"value": 1, "name": "water", "title": "Water", "color_hint": "2B6CB0"},
                {"value": 2, "name": "forest", "color_hint": "green"},
                {"value": 255, "name": "no_data", "nodata": True},
            ],
        },
        "entropy": {"href": "entropy.tif"},
    },
}


class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "map-all"
        self.folder.mkdir()
        file = self.folder / "map-all.json"
        file.write_text(json.dumps(ITEM))
        outputs = [
            {"role": "asset", "href": str(self.folder / "class.tif")},
            {"role": "asset", "href": str(self.folder / "entropy.tif")},
            {"role": "item", "href": str(file)},
            {"role": "collection", "href": "c.json"},
        ]
        self.found = items.results(outputs)

    def test_rasters_find_their_asset(self):
        self.assertEqual([(one.asset, one.style) for one in self.found], [("class", "classes"), ("entropy", "shares")])
        self.assertEqual(self.found[0].title, "map, all: class")

    def test_legends_leave_nodata_out(self):
        entries = [(one.value, one.name, one.color) for one in self.found[0].classes]
        self.assertEqual(entries, [(1, "Water", "2B6CB0"), (2, "forest", "999999")])

    def test_metadata_comes_from_the_item(self):
        result = self.found[0]
        self.assertEqual(result.interval, ("2021-03-18T09:31:36Z", "2021-09-07T09:31:36Z"))
        self.assertEqual(result.history, ["radiometry: offset 0 (2 items)"])
        self.assertEqual(result.sources, [("S2A", "../../scene/S2A.json")])
        self.assertEqual(result.facts, {"mlm:name": "tiny"})

    def test_a_raster_without_an_item_is_one_all_the_same(self):
        found = items.results([{"role": "asset", "href": "/x/y.tif"}, {"role": "model", "href": "/m"}])
        self.assertEqual([(one.title, one.style, one.interval) for one in found], [("x: y", "plain", ("", ""))])


if __name__ == "__main__":
    unittest.main()
