"""Running a command: its events, its answer, its end."""

import os
import sys
import unittest
from unittest import mock

from skysense.core import process

WAIT = "import signal, sys, time\n"


def script(text):
    return [sys.executable, "-c", text]


class Running(unittest.TestCase):
    def test_events_answer_and_the_rest_of_stderr_are_told_apart(self):
        events = []
        text = (
            "import json, sys\n"
            "print(json.dumps({'event': 'log', 'message': 'ä'}), file=sys.stderr)\n"
            "print('warning: x', file=sys.stderr)\n"
            "print(json.dumps({'ok': False}))\n"
            "sys.exit(3)\n"
        )
        outcome = process.run(script(text), on_event=events.append)
        self.assertEqual((outcome.exit, outcome.answer, outcome.tail), (3, {"ok": False}, ["warning: x"]))
        self.assertEqual(events, [{"event": "log", "message": "ä"}])
        self.assertFalse(outcome.cancelled)

    def test_much_output_does_not_block(self):
        text = "import sys\nfor n in range(20000): print('x' * 100, file=sys.stderr)\nprint('[' + '1,' * 200000 + '1]')"
        outcome = process.run(script(text))
        self.assertEqual((outcome.exit, outcome.answer), (0, None))
        self.assertEqual(len(outcome.tail), process.TAIL)

    def test_a_command_that_is_not_there_is_an_error_of_the_system(self):
        with self.assertRaises(OSError):
            process.run(["/no/such/skysense"])

    def test_nothing_is_left_running_when_who_listens_fails(self):
        heard = []

        def fail(event):
            heard.append(event["pid"])
            raise KeyError("of the listener")

        text = WAIT + (
            "import os\n"
            'print(\'{"event": "ready", "pid": %d}\' % os.getpid(), file=sys.stderr, flush=True)\n'
            "time.sleep(600)\n"
        )
        with self.assertRaisesRegex(KeyError, "of the listener"):
            process.run(script(text), on_event=fail)
        if os.name != "nt":
            with self.assertRaises(ProcessLookupError):
                os.kill(heard[0], 0)

    @unittest.skipIf(os.name == "nt", "signals")
    def test_a_cancelled_command_ends_cleanly(self):
        text = WAIT + (
            "def end(*_):\n    print('{\"clean\": true}')\n    sys.stdout.flush()\n    sys.exit(130)\n"
            "signal.signal(signal.SIGTERM, end)\n"
            'print(\'{"event": "ready"}\', file=sys.stderr, flush=True)\n'
            "time.sleep(600)\n"
        )
        events = []
        outcome = process.run(script(text), on_event=events.append, cancelled=lambda: bool(events))
        self.assertTrue(outcome.cancelled)
        self.assertEqual((outcome.exit, outcome.answer), (130, {"clean": True}))

    def test_stdin_is_closed_for_those_that_watch_it(self):
        text = (
            'import sys\nprint(\'{"event": "ready"}\', file=sys.stderr, flush=True)\nsys.stdin.read()\nsys.exit(130)\n'
        )
        with mock.patch.object(process.subprocess.Popen, "terminate"):
            events = []
            outcome = process.run(script(text), on_event=events.append, cancelled=lambda: bool(events))
        self.assertEqual((outcome.exit, outcome.cancelled), (130, True))

    @unittest.skipIf(os.name == "nt", "signals")
    def test_one_that_does_not_listen_is_killed(self):
        text = WAIT + (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            'print(\'{"event": "ready"}\', file=sys.stderr, flush=True)\n'
            "time.sleep(600)\n"
        )
        events = []
        with mock.patch.multiple(process, GENTLE_SECONDS=0.1, HARD_SECONDS=0.1):
            outcome = process.run(script(text), on_event=events.append, cancelled=lambda: bool(events))
        self.assertEqual(outcome.exit, -9)


if __name__ == "__main__":
    unittest.main()
