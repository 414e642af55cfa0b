"""Workflows of the ready algorithms."""

import json
import tempfile
import unittest
from pathlib import Path

from skysense.core import ready
from skysense.core.ready import Grid, Images, Labels, Raster, Training

LAYER = Raster("/a.tif", {"B02": 1}, "2021-05-03", "layer-1")


def use(images):
    return ready.Use(images, Grid(), "m", "out", "c")


class Workflows(unittest.TestCase):
    def test_layers_and_a_catalog_feed_both_ports(self):
        images = Images(catalog="c.json", rasters=(LAYER,), sensor="sentinel-2-l2a")
        nodes = ready.segment(use(images), ["class"])["nodes"]
        self.assertEqual(nodes["chips"]["from"], {"items": "layers", "also": "scenes"})
        self.assertEqual(nodes["layers"]["with"]["files"][0]["bands"], {"B02": 1})
        only = ready.segment(use(Images(catalog="c.json")), ["class"])["nodes"]
        self.assertEqual(only["chips"]["from"], "scenes")
        self.assertNotIn("layers", only)

    def test_what_is_not_given_is_left_to_the_command(self):
        self.assertEqual(ready.search(Images(catalog="c"), None), {"href": "c"})
        full = Images(catalog="c", collections=("s2",), start="2021-01-01", cloud_cover=0.0, limit=5)
        self.assertEqual(
            ready.search(full, (1, 2, 3, 4)),
            {
                "href": "c",
                "collections": ["s2"],
                "datetime": "2021-01-01/..",
                "bbox": [1, 2, 3, 4],
                "cloud_cover": 0.0,
                "limit": 5,
            },
        )

    def test_stated_radiometry_names_the_collection_of_the_layers(self):
        images = Images(rasters=(LAYER,), sensor="s", radiometry="offset_1000")
        chips = ready.embed(use(images), "float32")["nodes"]["chips"]["with"]
        self.assertEqual(chips["radiometry"], {"files": {"offset": -0.1}})
        # Items of a catalog say it themselves.
        searched = Images(catalog="c", radiometry="offset_1000")
        chips = ready.embed(use(searched), "float32")["nodes"]["chips"]["with"]
        self.assertNotIn("radiometry", chips)

    def test_training_starts_from_a_model_or_from_nothing(self):
        labels = Labels("/l.tif", ((1, "water", "0000ff"), (2, "forest", "00ff00")))
        made = ready.finetune(Images(catalog="c"), Grid(), labels, Training("/m", "m"))["nodes"]
        self.assertEqual(made["model"]["with"]["preset"], "tiny")
        self.assertEqual(made["labels"]["with"]["classes"][1], {"value": 2, "name": "forest", "color": "00ff00"})
        made = ready.finetune(Images(catalog="c"), Grid(), labels, Training("/m", "m", start="/base"))["nodes"]
        self.assertEqual(made["model"]["with"]["start"], "/base")
        self.assertNotIn("preset", made["model"]["with"])

    def test_a_file_is_json_which_is_yaml_too(self):
        with tempfile.TemporaryDirectory() as folder:
            file = ready.write({"skysense": 1, "name": "ä"}, Path(folder) / "new" / "w.yaml")
            self.assertEqual(json.loads(file.read_text(encoding="utf-8")), {"skysense": 1, "name": "ä"})


if __name__ == "__main__":
    unittest.main()
