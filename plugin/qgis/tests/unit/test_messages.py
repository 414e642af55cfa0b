"""Sentences for what went wrong."""

import unittest

from skysense.core.messages import explain
from skysense.core.process import Outcome


class Sentences(unittest.TestCase):
    def test_a_fault_says_what_and_what_to_do(self):
        fault = {
            "code": "catalog.read",
            "message": "cannot read x.json: No such file",
            "file": "w.yaml",
            "line": 21,
            "hint": "check the path",
        }
        text = explain(Outcome(3, {"faults": [fault]}))
        self.assertEqual(
            text, "Cannot read x.json: No such file. It stands in w.yaml, line 21. What to do: check the path."
        )
        # The lines of a file that the plugin made help nobody.
        self.assertNotIn("w.yaml", explain(Outcome(3, {"faults": [fault]}), own_file=True))

    def test_all_faults_are_told(self):
        faults = [{"message": "one", "expected": "a"}, {"message": "two", "found": "b", "causes": ["c"]}]
        self.assertEqual(explain(Outcome(1, {"faults": faults})), "One. Expected: a.\n\nTwo. Found: b. Cause: c.")

    def test_what_is_wrong_with_a_package_is_told(self):
        answer = {"ok": False, "name": "m", "problems": ["/m/a.onnx is missing; copy the package again", "no probe"]}
        self.assertEqual(explain(Outcome(3, answer)), "/m/a.onnx is missing; copy the package again.\n\nNo probe.")

    def test_a_param_is_called_as_in_the_form(self):
        fault = {"code": "unset-param", "message": "param `model` has no value", "hint": "give it one with -p"}
        text = explain(Outcome(1, {"faults": [fault]}), {"model": "Model (folder)"})
        self.assertEqual(text, "“Model (folder)” is not set. What to do: give it a value.")

    def test_an_error_says_where(self):
        error = {"message": "the file ends early", "place": {"item": "S2A"}, "causes": ["3 bytes"], "hint": "fetch it"}
        text = explain(Outcome(3, {"error": error}))
        self.assertEqual(text, "The file ends early. Where: item S2A. Cause: 3 bytes. What to do: fetch it.")

    def test_hints_about_settings_speak_of_the_form(self):
        fault = {"message": "m", "hint": "set `bands: subset` to use what is there, or name the bands"}
        self.assertIn("under Bands.", explain(Outcome(1, {"faults": [fault]}), own_file=True))
        # The author of a file has the setting before the eyes.
        self.assertIn("`bands: subset`", explain(Outcome(1, {"faults": [fault]})))

    def test_without_an_answer_the_last_lines_speak(self):
        self.assertIn("thread panicked", explain(Outcome(101, None, ["thread panicked"])))
        self.assertIn("101", explain(Outcome(101, None)))
        self.assertEqual(explain(Outcome(130, None)), "The run was cancelled.")


if __name__ == "__main__":
    unittest.main()
