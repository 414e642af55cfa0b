"""Translations fit their texts."""

import ast
import json
import string
import unittest
from pathlib import Path

from skysense.core import words

PLUGIN = Path(words.__file__).parent.parent


def source_texts():
    """Every text that `tr` may be given: the literals of the source."""
    for file in PLUGIN.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def names(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


class Catalogues(unittest.TestCase):
    def test_every_translation_belongs_to_a_text_and_keeps_its_values(self):
        known = set(source_texts())
        for file in words.FOLDER.glob("*.json"):
            for text, said in json.loads(file.read_text(encoding="utf-8")).items():
                self.assertIn(text, known, f"{file.name}: no such text")
                self.assertEqual(names(text), names(said), f"{file.name}: {text}")

    def test_every_text_of_the_forms_is_german_too(self):
        german = words.read("de_AT")
        for file in PLUGIN.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"
                if named and isinstance(node.args[0], ast.Constant):
                    self.assertIn(node.args[0].value, german, f"{file.name}:{node.lineno}")

    def test_an_unknown_language_is_english(self):
        self.assertEqual(words.read("xx"), {})
        words.speak("xx")
        self.assertEqual(words.tr("run {run} begins", run="r"), "run r begins")

    def test_a_language_is_spoken(self):
        words.speak("de")
        self.addCleanup(words.speak, "")
        self.assertEqual(words.tr("run {run} begins", run="r"), "Lauf r beginnt")


if __name__ == "__main__":
    unittest.main()
