"""Finding the command and judging its version."""

import json
import tempfile
import unittest
from pathlib import Path

from skysense.core import binary, command


class Finding(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.plugin = self.folder / "plugin"
        self.plugin.mkdir()

    def program(self, name):
        path = self.folder / name / "skysense"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    def test_the_nearest_word_wins(self):
        one, two, three, four = (self.program(name) for name in "abcd")
        surroundings = {"PATH": str(four.parent)}
        self.assertEqual(binary.find("", surroundings, self.plugin), four)
        (self.plugin / binary.INSTALLED).write_text(json.dumps({"binary": str(three)}))
        self.assertEqual(binary.find("", surroundings, self.plugin), three)
        surroundings[binary.VARIABLE] = str(two)
        self.assertEqual(binary.find("", surroundings, self.plugin), two)
        self.assertEqual(binary.find(str(one), surroundings, self.plugin), one)

    def test_what_installed_the_plugin_may_be_gone(self):
        (self.plugin / binary.INSTALLED).write_text(json.dumps({"binary": "/gone/skysense"}))
        found = self.program("a")
        self.assertEqual(binary.find("", {"PATH": str(found.parent)}, self.plugin), found)

    def test_what_installed_the_plugin_may_have_left_half_a_note(self):
        for text in ("", "{", "[]"):
            (self.plugin / binary.INSTALLED).write_text(text)
            with self.assertRaisesRegex(binary.Missing, "installed.json.*skysense qgis install"):
                binary.find("", {"PATH": str(self.folder)}, self.plugin)

    def test_a_missing_command_says_how_to_get_it(self):
        with self.assertRaisesRegex(binary.Missing, "skysense qgis install"):
            binary.find("", {"PATH": str(self.folder)}, self.plugin)
        # A choice that does not hold is not replaced by another one.
        found = self.program("a")
        with self.assertRaisesRegex(binary.Missing, "/gone/skysense"):
            binary.find("/gone/skysense", {"PATH": str(found.parent)}, self.plugin)

    def test_versions_are_compared(self):
        path = Path("skysense")
        self.assertEqual(binary.check_version("skysense 0.1.7", path), "0.1.7")
        with self.assertRaisesRegex(binary.Missing, "Update the plugin"):
            binary.check_version("skysense 9.0.0", path)
        with self.assertRaisesRegex(binary.Missing, "Update the command"):
            binary.check_version("skysense 0.0.9", path)
        for other in ("", "bash 5.2.15", "skysense"):
            with self.assertRaisesRegex(binary.Missing, "is not the skysense command"):
                binary.check_version(other, path)

    def test_libraries_of_qgis_are_not_lent(self):
        given = {"PROJ_LIB": "/opt/qgis/share/proj", "GDAL_DATA": "/data/gdal", "HOME": "/data"}
        kept = binary.surroundings(given, Path("/opt/qgis"))
        self.assertEqual(kept, {"GDAL_DATA": "/data/gdal", "HOME": "/data"})
        self.assertEqual(
            binary.surroundings({"PROJ_LIB": "/usr/share/proj"}, Path("/usr")), {"PROJ_LIB": "/usr/share/proj"}
        )


class CommandLines(unittest.TestCase):
    def test_a_run_ends_with_its_parent_and_speaks_json(self):
        line = command.run(Path("s"), Path("w.yaml"), {"a": "1 2"}, Path("r"), command.Machine(2, "4GiB", "cpu"))
        self.assertEqual(line[:6], ["s", "run", "w.yaml", "--json", "--progress", "json"])
        self.assertIn("--with-parent", line)
        self.assertEqual(line[line.index("-p") + 1], "a=1 2")
        self.assertEqual(line[-6:], ["--threads", "2", "--memory", "4GiB", "--device", "cpu"])
        plain = command.run(Path("s"), Path("w.yaml"), {}, Path("r"), command.Machine())
        self.assertEqual(plain[-2:], ["--runs-dir", "r"])


if __name__ == "__main__":
    unittest.main()
