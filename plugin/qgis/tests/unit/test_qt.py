"""What runs with Qt 5 and Qt 6 alike, as far as the source shows it."""

import ast
import unittest
from pathlib import Path

from skysense.core import words

PLUGIN = Path(words.__file__).parent.parent


def trees():
    for file in PLUGIN.rglob("*.py"):
        yield file.relative_to(PLUGIN), ast.parse(file.read_text(encoding="utf-8"))


# Modules of Qt that QGIS gives under one name for Qt 5 and Qt 6.
MODULES = {"qgis.PyQt.QtCore", "qgis.PyQt.QtGui", "qgis.PyQt.QtWidgets"}
# Of QtGui with Qt 6, of QtWidgets with Qt 5: asked for in both.
MOVED = {"QAction", "QActionGroup", "QShortcut", "QUndoCommand", "QUndoStack"}
# What Qt 6 has no more.
GONE = {"QRegExp", "QDesktopWidget", "QStringListModel", "QVariant", "QTextCodec", "QMatrix"}
# Classes inside of classes, which are no members of enums.
CLASSES = {"Class", "LayerDetails", "Link", "SaveVectorOptions"}


def imports(tree):
    """Module and name of all that is imported from somewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", one.name, node) for one in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "", node) for one in node.names)


class Imports(unittest.TestCase):
    def test_qt_comes_through_qgis(self):
        for file, tree in trees():
            for module, name, _ in imports(tree):
                self.assertFalse(module.startswith(("PyQt", "PySide", "sip")), f"{file}: {module}")
                if module.startswith("qgis.PyQt"):
                    self.assertIn(module, MODULES, f"{file}: {name}")
                    self.assertNotIn(name, GONE, file)

    def test_what_moved_is_looked_for_in_both_places(self):
        for file, tree in trees():
            attempts = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
            for module, name, node in imports(tree):
                if module.startswith("qgis.PyQt") and name in MOVED:
                    around = [one for one in attempts if node in ast.walk(one)]
                    self.assertEqual(len(around), 1, f"{file}: {name}")
                    found = {module for module, other, _ in imports(around[0]) if other == name}
                    self.assertEqual(found, {"qgis.PyQt.QtWidgets", "qgis.PyQt.QtGui"}, f"{file}: {name}")

    def test_the_core_needs_no_qgis(self):
        for file, tree in trees():
            if file.parts[0] == "core":
                for module, _, _ in imports(tree):
                    self.assertFalse(module.startswith(("qgis", "osgeo", "processing")), f"{file}: {module}")


class Enums(unittest.TestCase):
    def test_enums_are_named_in_full(self):
        """Qt 6 knows `Qt.Orientation.Horizontal` alone, Qt 5 both; so it is with the enums of QGIS."""
        seen = 0
        for file, tree in trees():
            known = {name for module, name, _ in imports(tree) if module.startswith("qgis")}
            # Members stand at the end of a chain: `Class.Enum.Member`.
            inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            for node in ast.walk(tree):
                chain = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known
                if chain and node.attr[0].isupper() and node.attr not in CLASSES:
                    seen += 1
                    whole = node in inner or _is_kept(tree, node)
                    self.assertTrue(whole, f"{file}:{node.lineno}: {node.value.id}.{node.attr}")
        self.assertGreater(seen, 25)

    def test_numbers_of_parameters_are_named_by_their_enum(self):
        for file, _ in trees():
            text = (PLUGIN / file).read_text(encoding="utf-8")
            self.assertNotRegex(text, r"\bnumber\.(Integer|Double)\b", file)

    def test_dialogs_are_run_without_an_underscore(self):
        for file, _ in trees():
            self.assertNotIn(".exec_(", (PLUGIN / file).read_text(encoding="utf-8"), file)


def _is_kept(tree, node):
    """Whether an enum is given a name, `kind = Class.Enum`, whose members are named by that."""
    values = [one.value for one in ast.walk(tree) if isinstance(one, ast.Assign)]
    return any(node is value or isinstance(value, ast.Tuple) and node in value.elts for value in values)


if __name__ == "__main__":
    unittest.main()
