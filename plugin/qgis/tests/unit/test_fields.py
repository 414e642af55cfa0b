"""Params of a workflow as fields of a form."""

import unittest

from skysense.core import fields
from skysense.core.workflows import Param


def kind(type_, *fills, **more):
    return fields.kind_of(Param("p", type_, fills=fills, **more))


class Kinds(unittest.TestCase):
    def test_the_type_decides_where_nothing_else_is_known(self):
        for type_, expected in (
            ("string", fields.TEXT),
            ("uri", fields.HREF),
            ("path", fields.FILE),
            ("model", fields.MODEL),
            ("number", fields.NUMBER),
            ("integer", fields.INTEGER),
            ("boolean", fields.BOOLEAN),
            ("datetime", fields.DATE),
            ("duration", fields.TEXT),
            ("bbox", fields.EXTENT),
            ("enum", fields.ENUM),
            ("of a later version", fields.TEXT),
        ):
            self.assertEqual(kind(type_), expected, type_)

    def test_what_it_fills_decides_first(self):
        self.assertEqual(kind("path", ("raster.files", "/files/0/href")), fields.RASTER)
        self.assertEqual(kind("uri", ("raster.files", "/files/12/href")), fields.RASTER)
        self.assertEqual(kind("integer", ("raster.files", "/files/0/bands/B02")), fields.BAND)
        self.assertEqual(kind("path", ("stac.search", "/area")), fields.AREA)
        self.assertEqual(kind("string", ("raster.chips", "/area")), fields.AREA)
        self.assertEqual(kind("path", ("stac.write", "/href")), fields.FOLDER_OUT)
        for node in ("finetune", "pretrain", "distill", "reduce"):
            self.assertEqual(kind("path", (f"skysense.{node}", "/out")), fields.FOLDER_OUT)
        for node in ("data.write", "objects.write"):
            self.assertEqual(kind("path", (node, "/href")), fields.FOLDER_OUT)
        for node in ("skysense.evaluate", "objects.evaluate"):
            self.assertEqual(kind("path", (node, "/out")), fields.FILE_OUT)
        self.assertEqual(kind("string", ("raster.chips", "/crs")), fields.CRS)
        self.assertEqual(kind("datetime", ("stac.search", "/datetime")), fields.DATES)
        self.assertEqual(kind("datetime", ("raster.files", "/files/0/datetime")), fields.DATE)
        # The same pointer of another node means nothing.
        self.assertEqual(kind("uri", ("stac.search", "/href")), fields.HREF)

    def test_a_band_belongs_to_the_raster_of_its_file(self):
        image = Param("image", "path", fills=(("raster.files", "/files/0/href"),))
        other = Param("other", "path", fills=(("raster.files", "/files/1/href"),))
        red = Param("red", "integer", fills=(("raster.files", "/files/1/bands/B04"),))
        made = fields.fields((image, other, red))
        self.assertEqual((made[2].kind, made[2].parent), (fields.BAND, "other"))
        alone = fields.fields((red,))
        self.assertEqual((alone[0].kind, alone[0].parent), (fields.INTEGER, ""))

    def test_a_param_with_a_default_may_stay_empty(self):
        self.assertFalse(fields.fields((Param("p", "string"),))[0].optional)
        self.assertTrue(fields.fields((Param("p", "string", default=""),))[0].optional)

    def test_labels_speak_of_name_and_doc(self):
        self.assertEqual(fields.label(Param("max_cloud", "number")), "Max cloud")
        self.assertEqual(fields.label(Param("out", "path", doc="where it goes")), "Out (where it goes)")


class Values(unittest.TestCase):
    def test_intervals_leave_ends_open(self):
        self.assertEqual(fields.interval("2021-03-01", ""), "2021-03-01/..")
        self.assertEqual(fields.interval("", "2021-03-01"), "../2021-03-01")
        self.assertEqual(fields.interval("", ""), "")

    def test_dates_of_defaults(self):
        self.assertEqual(fields.dates_of("2021-03-01/2021-10-31"), ("2021-03-01", "2021-10-31"))
        self.assertEqual(fields.dates_of("2021-03-01T10:00:00Z/.."), ("2021-03-01", ""))
        self.assertEqual(fields.dates_of("2021-03-01"), ("2021-03-01", "2021-03-01"))
        for none in (None, "${env:WHEN}", 5):
            self.assertEqual(fields.dates_of(none), ("", ""))

    def test_an_extent_is_west_south_east_north(self):
        self.assertEqual(fields.bbox(5, 45, 6.123456789, 46), "5,45,6.1234568,46")


if __name__ == "__main__":
    unittest.main()
