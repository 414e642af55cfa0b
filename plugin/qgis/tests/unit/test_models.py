"""Models as the command lists them."""

import unittest
from pathlib import Path

from skysense.core import models


def told(path, **more):
    facts = {
        "path": path, "name": "crops", "preset": "tiny", "bands": {"s2": ["B02", "B03"], "s1": ["VV"]},
        "dates": {"s2": 8, "s1": 4}, "chip_size": 16, "classes": ["a", "b"], "licence": "CC0-1.0", "bytes": 5,
        "task": "segmentation",
    }  # fmt: skip
    return {**facts, **more}


class Models(unittest.TestCase):
    def test_a_model_says_what_it_takes_and_gives(self):
        (model,) = models.read({"models": [told("/m/a")]})
        self.assertEqual(model.summary, "crops (tiny): s2 (2), s1 (1) → a class for each pixel (2 classes)")
        self.assertEqual((model.chip_size, model.most_dates, model.size), (16, 4, 5))
        (encoder,) = models.read({"models": [told("/m/a", classes=[], dates={}, task=None)]})
        self.assertIn("→ features", encoder.summary)
        self.assertEqual(encoder.most_dates, 12)
        self.assertEqual(models.read({}), [])

    def test_the_task_of_a_model_names_the_algorithm_that_applies_it(self):
        for task, algorithm in ((None, "embed"), ("segmentation", "segment"), ("regression", "segment"),
                                ("change", "change"), ("detection", "detect"), ("oriented_detection", "detect"),
                                ("of-tomorrow", "embed")):  # fmt: skip
            (model,) = models.read({"models": [told("/m/a", task=task)]})
            self.assertEqual(model.algorithm, algorithm, task)
            self.assertTrue(model.gives)

    def test_words_find_their_folder(self):
        found = models.read({"models": [told("/m/a"), told("/p/a"), told("/m/b", name="other")]})
        self.assertEqual(models.titles(found), ["a (/m)", "a (/p)", "b"])
        for word, folder in (("a (/p)", "/p/a"), ("b", "/m/b"), ("other", "/m/b"), ("nobody", "nobody")):
            self.assertEqual(Path(models.folder_of(word, found)), Path(folder))


if __name__ == "__main__":
    unittest.main()
