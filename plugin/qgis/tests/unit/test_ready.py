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
        made = ready.finetune(Images(catalog="c"), None, Grid(), labels, Training("/m", "m"))["nodes"]
        self.assertEqual(made["model"]["with"]["preset"], "tiny")
        self.assertEqual(made["model"]["with"]["task"], "segmentation")
        self.assertNotIn("class_weights", made["model"]["with"])
        self.assertEqual(made["labels"]["with"]["classes"][1], {"value": 2, "name": "forest", "color": "00ff00"})
        self.assertEqual(made["labels"]["with"]["files"], [{"href": "/l.tif"}])
        training = Training("/m", "m", start="/base", balanced=True)
        made = ready.finetune(Images(catalog="c"), None, Grid(), labels, training)["nodes"]
        self.assertEqual(made["model"]["with"]["start"], "/base")
        self.assertEqual(made["model"]["with"]["class_weights"], "balanced")
        self.assertNotIn("preset", made["model"]["with"])

    def test_two_times_are_two_searches_on_one_grid(self):
        now, before = (Images(catalog="c", start=f"{year}-01-01", end=f"{year}-12-31") for year in (2022, 2021))
        grid = Grid(bbox=(1, 2, 3, 4), overlap=3)
        made = ready.segment(ready.Use(now, grid, "m", "out", "c", before), [])["nodes"]
        self.assertEqual(made["model"]["from"], {"chips": "chips", "before": "before"})
        self.assertEqual(made["before"]["from"], "scenes-before")
        self.assertEqual(made["before"]["with"], made["chips"]["with"])
        self.assertEqual((made["chips"]["with"]["overlap"], made["chips"]["with"]["bbox"]), (3, [1, 2, 3, 4]))
        self.assertEqual(made["scenes-before"]["with"]["datetime"], "2021-01-01/2021-12-31")
        self.assertEqual(made["scenes"]["with"]["datetime"], "2022-01-01/2022-12-31")
        # What a task has no choice of is left to the command.
        self.assertNotIn("outputs", made["written"]["with"])
        labels = Labels("/l.tif", ((0, "same", "ffffff"), (1, "built", "ff0000")))
        made = ready.finetune(now, before, grid, labels, Training("/m", "m", task="change"))["nodes"]
        self.assertEqual(made["model"]["from"], {"chips": "chips", "labels": "labels", "before": "before"})
        self.assertEqual(made["model"]["with"]["task"], "change")

    def test_objects_are_found_and_written_as_outlines(self):
        made = ready.detect(use(Images(catalog="c")), "geopackage")["nodes"]
        self.assertEqual((made["model"]["uses"], made["written"]["uses"]), ("skysense.detect", "objects.write"))
        self.assertEqual(made["written"]["with"]["formats"], ["geopackage"])
        self.assertNotIn("overlap", made["chips"]["with"])
        labels = ready.Described("/l/catalog.json", "/l/objects.geojson", "kind")
        made = ready.finetune(Images(catalog="c"), None, Grid(), labels, Training("/m", "m", task="detection"))["nodes"]
        self.assertEqual(made["model"]["with"]["objects"], {"field": "kind"})
        searched = {"href": "/l/catalog.json", "allow_paths": ["/l/objects.geojson"]}
        self.assertEqual(made["labels"], {"uses": "stac.search", "with": searched})

    def test_a_raster_of_several_in_a_file_is_named(self):
        images = Images(rasters=(Raster("/a.nc", {"B02": 1}, "2021-05-03", "layer-1", "B02"),), sensor="s")
        made = ready.segment(use(images), ["class"])["nodes"]
        self.assertEqual(made["layers"]["with"]["files"][0]["subdataset"], "B02")
        only = ready.segment(use(Images(rasters=(LAYER,), sensor="s")), ["class"])["nodes"]
        self.assertNotIn("subdataset", only["layers"]["with"]["files"][0])

    def test_a_file_is_json_which_is_yaml_too(self):
        with tempfile.TemporaryDirectory() as folder:
            file = ready.write({"skysense": 1, "name": "ä"}, Path(folder) / "new" / "w.yaml")
            self.assertEqual(json.loads(file.read_text(encoding="utf-8")), {"skysense": 1, "name": "ä"})


if __name__ == "__main__":
    unittest.main()
