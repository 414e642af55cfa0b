"""Dock, dialogs and forms with a real Qt 5 and a real Qt 6, wherever their bindings are."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in.py"


def python_of(binding):
    """A Python that has the binding: one that is named, this one, or that of the system."""
    for python in (os.environ.get(f"SKYSENSE_{binding.upper()}_PYTHON"), sys.executable, "/usr/bin/python3"):
        if not python:
            continue
        line = [python, "-c", f"import {binding}.QtWidgets"]
        if Path(python).exists() and subprocess.run(line, capture_output=True, check=False).returncode == 0:
            return python
    return None


class WithQt(unittest.TestCase):
    def check(self, binding, version):
        python = python_of(binding)
        if python is None:
            stars = "*" * 100
            told = (
                f"NOT TESTED: the plugin with {binding}: SKYSENSE_{binding.upper()}_PYTHON names no Python that has it"
            )
            print(f"\n{stars}\n{told}\n{stars}", file=sys.stderr, flush=True)
            self.skipTest(told)
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("PYTHONPATH", None)
        line = [python, str(STAND_IN), binding]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = json.loads(done.stdout.splitlines()[-1])
        self.assertTrue(told["qt"].startswith(version), told)
        self.assertEqual(told["wrong"], [])
        self.assertGreater(told["names"], 80)
        self.assertEqual(len(told["forms"]), 7)
        self.assertTrue(all(told["forms"].values()), told)

    def test_with_qt_5(self):
        self.check("PyQt5", "5.")

    def test_with_qt_6(self):
        self.check("PyQt6", "6.")


if __name__ == "__main__":
    unittest.main()
