"""Bands, classes and dates that users write or names tell."""

import unittest

from skysense.core import bands, classes, dates


class Bands(unittest.TestCase):
    def test_a_mapping_is_read_and_written(self):
        mapping = bands.parse(" B02=1, B03 : 2;B04=3\n")
        self.assertEqual(mapping, {"B02": 1, "B03": 2, "B04": 3})
        self.assertEqual(bands.parse(bands.text(mapping)), mapping)
        self.assertEqual(bands.parse(""), {})

    def test_what_is_no_mapping_is_told(self):
        for text in ("B02", "B02=x", "B02=0", "B02=1, B02=2", "=1x"):
            with self.assertRaises(bands.BandsError, msg=text):
                bands.parse(text)

    def test_names_of_bands_give_the_mapping(self):
        names = [bands.description(text) for text in ("Band 1: B2 (Gray)", "Band 2 - b03", "Band 3", "Band 4: SCL")]
        self.assertEqual(names, ["B2", "b03", "", "SCL"])
        self.assertEqual(bands.guess(names, ["B02", "B03", "B04"]), {"B02": 1, "B03": 2})
        self.assertEqual(bands.guess(["", ""], ["B02"]), {})


class Classes(unittest.TestCase):
    def test_classes_are_read(self):
        self.assertEqual(classes.parse("1=water#2B6CB0"), [(1, "water", "2b6cb0")])
        found = classes.parse("1=water, 2=winter wheat")
        self.assertEqual([(value, name) for value, name, _ in found], [(1, "water"), (2, "winter wheat")])
        self.assertNotEqual(found[0][2], found[1][2])

    def test_what_is_no_class_is_told(self):
        for text in ("water", "256=x", "1=a, 1=b", "-1=a"):
            with self.assertRaises(classes.ClassesError, msg=text):
                classes.parse(text)

    def test_values_of_an_attribute_are_numbered_in_their_order(self):
        found = classes.of_values(["10", "9", "forest", "9"])
        self.assertEqual([(value, name) for value, name, _ in found], [(1, "9"), (2, "10"), (3, "forest")])
        with self.assertRaises(classes.ClassesError):
            classes.of_values([])
        with self.assertRaises(classes.ClassesError):
            classes.of_values([str(number) for number in range(255)])

    def test_colours_differ(self):
        colors = [classes.color_of(place) for place in range(30)]
        self.assertEqual(len(set(colors)), 30)
        self.assertTrue(all(len(color) == 6 for color in colors))


class Dates(unittest.TestCase):
    def test_dates_stand_in_names(self):
        for name, day in (
            ("S2A_MSIL2A_20210503T101031_N0300.tif", "2021-05-03"),
            ("field 2021-05-03", "2021-05-03"),
            ("2021_05_03", "2021-05-03"),
            ("tile_20211301", ""),
            ("20210230", ""),
            ("120210503", ""),
            ("2021-0503", ""),
        ):
            self.assertEqual(dates.of_name(name), day, name)

    def test_one_date_for_all_or_one_for_each(self):
        self.assertEqual(dates.listed("2021-05-03", 2), ["2021-05-03"] * 2)
        self.assertEqual(dates.listed("2021-05-03, 2021-07-22", 3), ["2021-05-03", "2021-07-22"])
        self.assertEqual(dates.listed("", 2), [])


if __name__ == "__main__":
    unittest.main()
