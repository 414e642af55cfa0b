"""What runs with Qt 5 and Qt 6 alike, as far as the source shows it."""

import ast
import unittest
from pathlib import Path

from skysense.core import words

PLUGIN = Path(words.__file__).parent.parent


def trees():
    for file in PLUGIN.rglob("*.py"):
        yield file.relative_to(PLUGIN), ast.parse(file.read_text(encoding="utf-8"))


class Imports(unittest.TestCase):
    def test_qt_comes_through_qgis(self):
        for file, tree in trees():
            for node in ast.walk(tree):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    self.assertFalse(name.startswith(("PyQt", "PySide")), f"{file}: {name}")

    def test_the_core_needs_no_qgis(self):
        for file, tree in trees():
            if file.parts[0] == "core":
                for node in ast.walk(tree):
                    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                    self.assertFalse(module.startswith(("qgis", "osgeo", "processing")), f"{file}: {module}")


class Enums(unittest.TestCase):
    def test_enums_of_qt_are_named_in_full(self):
        """Qt 6 knows `Qt.Orientation.Horizontal` alone, Qt 5 both."""
        for file, tree in trees():
            for node in ast.walk(tree):
                inner = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Qt"
                if inner:
                    self.assertTrue(node.attr[0].isupper() and node.attr in SCOPES, f"{file}: Qt.{node.attr}")

    def test_dialogs_are_run_without_an_underscore(self):
        for file, _ in trees():
            self.assertNotIn(".exec_(", (PLUGIN / file).read_text(encoding="utf-8"), file)


SCOPES = {
    "CheckState", "CursorShape", "DateFormat", "DockWidgetArea", "Orientation", "ScrollBarPolicy",
    "TextInteractionFlag",
}  # fmt: skip


if __name__ == "__main__":
    unittest.main()
