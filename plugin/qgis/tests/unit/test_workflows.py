"""Workflow files and what the command tells of them."""

import tempfile
import unittest
from pathlib import Path

from skysense.core import workflows
from skysense.core.workflows import Folder


class Files(unittest.TestCase):
    def test_only_workflows_are_taken(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "b.yaml").write_text("# a comment\nskysense: 1\n")
            (folder / "a.yml").write_text("name: x\nskysense: 1\n")
            (folder / "compose.yaml").write_text("services: {skysense: {}}\n")
            (folder / "notes.txt").write_text("skysense: 1\n")
            (folder / "folder.yaml").mkdir()
            self.assertEqual([file.name for file in workflows.files(folder)], ["a.yml", "b.yaml"])
            self.assertEqual(workflows.files(folder / "none"), [])

    def test_ids_are_plain_and_differ(self):
        folder = Folder(Path("."), "user", "Mine")
        for name, expected in (
            ("Crop map 2021.yaml", "user_crop_map_2021"),
            ("map.skysense.yaml", "user_map"),
            ("…\u200b.yaml", "user_workflow"),
        ):
            self.assertEqual(workflows.identifier(folder, Path(name)), expected)
        self.assertEqual(workflows.identifier(folder, Path("a.yml"), ["user_a"]), "user_a_2")


class Answers(unittest.TestCase):
    def test_right_files_become_workflows_and_wrong_ones_are_told(self):
        folder = Folder(Path("/w"), "user", "Mine")
        param = {
            "name": "model", "type": "model", "default": None, "doc": "a model", "min": None, "max": None, "values": [],
            "fills": [{"node": "n", "uses": "skysense.segment", "pointer": "/model"}],
        }  # fmt: skip
        answer = {
            "files": [
                {"file": "/w/a.yaml", "ok": True, "name": "map", "doc": "d", "params": [param]},
                {"file": "/w/b.yaml", "ok": False, "faults": [{"message": "m"}]},
            ]
        }
        found, wrong = workflows.read(answer, [(folder, [Path("/w/a.yaml"), Path("/w/b.yaml")])])
        self.assertEqual([(one.id, one.group, one.name) for one in found], [("user_a", "Mine", "map")])
        self.assertEqual(found[0].params[0].fills, (("skysense.segment", "/model"),))
        self.assertIsNone(found[0].params[0].default)
        self.assertEqual(wrong, {"/w/b.yaml": [{"message": "m"}]})

    def test_a_file_that_nothing_was_said_about_is_wrong(self):
        folder = Folder(Path("/w"), "user", "Mine")
        found, wrong = workflows.read({}, [(folder, [Path("/w/a.yaml")])])
        self.assertEqual((found, wrong), ([], {"/w/a.yaml": []}))


if __name__ == "__main__":
    unittest.main()
