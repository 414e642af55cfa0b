"""Runs the command: events line by line while it runs, its answer at the end, and an end when asked for one."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

# How long a run may take to end cleanly, then to end at all.
GENTLE_SECONDS = 10.0
HARD_SECONDS = 3.0
TAIL = 20
# On Windows a console would flash up.
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


@dataclass
class Outcome:
    """How a call of the command ended."""

    exit: int
    # The object on stdout; none where there was none.
    answer: dict[str, Any] | None
    # Last lines of stderr that were no events.
    tail: list[str] = field(default_factory=list)
    cancelled: bool = False


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Starts the command and waits for its end; `cancelled` is asked ten times a second."""
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment) if environment is not None else None,
        cwd=folder,
        creationflags=NO_WINDOW,
    )
    try:
        return _followed(child, on_event, cancelled)
    except BaseException:
        # Nothing is left running when who listens fails.
        child.kill()
        child.wait()
        raise


def _followed(
    child: subprocess.Popen, on_event: Callable[[dict[str, Any]], None], cancelled: Callable[[], bool]
) -> Outcome:
    stdin, stdout, stderr = child.stdin, child.stdout, child.stderr
    assert stdin and stdout and stderr, "all three are pipes"
    lines: queue.Queue[bytes | None] = queue.Queue()
    out: list[bytes] = []
    readers = [
        threading.Thread(target=_lines, args=(stderr, lines), daemon=True),
        threading.Thread(target=lambda: out.append(stdout.read()), daemon=True),
    ]
    for reader in readers:
        reader.start()
    tail: list[str] = []
    stop = _Stop(child)
    open_ = True
    while open_ or child.poll() is None:
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            line = b""
        if line is None:
            open_ = False
        elif line.strip():
            _tell(line, on_event, tail)
        if not stop.asked and cancelled():
            stop.ask()
        stop.insist()
    for reader in readers:
        reader.join()
    for stream in (stdin, stdout, stderr):
        # It may have gone away with the child.
        with contextlib.suppress(OSError):
            stream.close()
    return Outcome(child.wait(), _answer(b"".join(out)), tail[-TAIL:], stop.asked)


class _Stop:
    """Ends the child: asks, asks once more, then kills it."""

    def __init__(self, child: subprocess.Popen) -> None:
        self.child = child
        self.asked = False
        self.steps: list[tuple[float, Callable[[], None]]] = []

    def ask(self) -> None:
        """A clean end: its stdin is closed, which `--with-parent` watches, and it gets SIGTERM where that is."""
        self.asked = True
        now = time.monotonic()
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            if self.child.stdin:
                self.child.stdin.close()
        if os.name != "nt":
            self.child.terminate()
            self.steps.append((now + GENTLE_SECONDS, self.child.terminate))
        self.steps.append((now + GENTLE_SECONDS + HARD_SECONDS, self.child.kill))

    def insist(self) -> None:
        """Goes one step further once the time for the last one is over."""
        if self.steps and time.monotonic() >= self.steps[0][0]:
            self.steps.pop(0)[1]()


def _lines(stream, lines: queue.Queue) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _tell(line: bytes, on_event: Callable[[dict[str, Any]], None], tail: list[str]) -> None:
    text = line.decode("utf-8", "replace").rstrip()
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if isinstance(event, dict) and "event" in event:
        on_event(event)
    else:
        tail.append(text)
        del tail[:-TAIL]


def _answer(out: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(out)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
