"""Progress and log lines of a run."""

import unittest

from skysense.core.events import DETAIL, INFO, WARNING, Listener


class Listening(unittest.TestCase):
    def test_progress_is_that_of_all_nodes_and_never_goes_back(self):
        listener = Listener()
        for node in ("a", "b"):
            listener.hear({"event": "node-planning", "node": node})
        listener.hear({"event": "progress", "node": "a", "done": 5, "total": 10})
        self.assertEqual(listener.percent, 25.0)
        listener.hear({"event": "progress", "node": "a", "done": 2, "total": 10})
        self.assertEqual(listener.percent, 25.0)
        listener.hear({"event": "batch", "node": "b", "rows": 1, "planned": None})
        self.assertEqual(listener.percent, 25.0)
        listener.hear({"event": "node-finished", "node": "a", "rows": 10})
        listener.hear({"event": "node-planning", "node": "c"})
        self.assertEqual(listener.percent, 50.0)

    def test_lines_have_a_level(self):
        listener = Listener()
        self.assertEqual(
            listener.hear({"event": "log", "node": "n", "level": "warn", "message": "m"}), [(WARNING, "n: m")]
        )
        self.assertEqual(
            listener.hear({"event": "log", "node": "n", "level": "info", "message": "o"}), [(INFO, "n: o")]
        )
        left = {"event": "record", "node": "n", "kind": "skipped", "record": {"item": "S2B", "reason": "no grid"}}
        self.assertEqual(listener.hear(left), [(WARNING, "left out: S2B: no grid")])
        # What planning and running both say is said once.
        self.assertEqual(listener.hear(left), [])

    def test_the_folder_of_the_run_is_known(self):
        listener = Listener()
        self.assertEqual(
            listener.hear({"event": "run-started", "run": "r1", "folder": "/r1"}), [(INFO, "run r1 begins")]
        )
        self.assertEqual(listener.folder, "/r1")

    def test_events_of_a_later_version_are_no_trouble(self):
        self.assertEqual(Listener().hear({"event": "of-tomorrow"}), [])
        self.assertEqual(Listener().hear({"event": "progress", "node": "a", "done": "x"}), [])
        self.assertEqual(Listener().hear({"event": "node-planning", "node": "a"})[0][0], DETAIL)


if __name__ == "__main__":
    unittest.main()
