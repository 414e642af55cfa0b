"""Names of GDAL for one raster of several in a file."""

import json
import tempfile
import unittest
from pathlib import Path

from skysense.core import files, label_catalog


class Subdatasets(unittest.TestCase):
    def test_names_of_one_raster_of_several_are_taken_apart(self):
        for name, expected in (
            ('NETCDF:"/data/a b.nc":B02', ("/data/a b.nc", "B02")),
            ("GPKG:/data/a.gpkg:B02", ("/data/a.gpkg", "B02")),
            ('HDF5:"/data/a.h5"://group/B02', ("/data/a.h5", "group/B02")),
        ):
            self.assertEqual(files.split(name), expected, name)

    def test_other_names_stay_what_they_are(self):
        for name in ("/data/a.tif", "/data/a:b:c.tif", "https://h/a.tif", "C:/data/a.tif", "/vsicurl/https://h/a.tif"):
            self.assertEqual(files.split(name), (name, None))


class LabelCatalog(unittest.TestCase):
    def test_its_item_names_the_file_as_labels(self):
        with tempfile.TemporaryDirectory() as folder:
            made = label_catalog.write(Path(folder) / "new", Path("/l/a.tif"), "image/tiff", (1.0, 2.0, 3.0, 4.0))
            catalog = json.loads(made.read_text(encoding="utf-8"))
            (link,) = (link for link in catalog["links"] if link["rel"] == "item")
            item = json.loads((made.parent / link["href"]).read_text(encoding="utf-8"))
        self.assertEqual(item["assets"]["labels"]["href"], "/l/a.tif")
        self.assertIn("labels", item["assets"]["labels"]["roles"])
        self.assertEqual(item["bbox"], [1.0, 2.0, 3.0, 4.0])


if __name__ == "__main__":
    unittest.main()
