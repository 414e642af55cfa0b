"""What a run says while it runs, as a percentage and lines for a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .words import tr

INFO, WARNING, DETAIL = "info", "warning", "detail"


@dataclass
class Listener:
    """Follows the events of one run."""

    # Share of each node that is done, 0 to 1.
    done: dict[str, float] = field(default_factory=dict)
    best: float = 0.0
    said: set[str] = field(default_factory=set)
    # Folder of the run, once it began.
    folder: str = ""

    def hear(self, event: dict[str, Any]) -> list[tuple[str, str]]:
        """Takes an event; gives lines as (level, text)."""
        lines = self._lines(event)
        if self.done:
            # A node that is planned later must not turn the bar back.
            self.best = max(self.best, 100.0 * sum(self.done.values()) / len(self.done))
        return lines

    @property
    def percent(self) -> float:
        """How far the run is; never goes back."""
        return self.best

    def _lines(self, event: dict[str, Any]) -> list[tuple[str, str]]:
        node = event.get("node", "")
        kind = event.get("event")
        if kind == "node-planning":
            self.done.setdefault(node, 0.0)
            return [(DETAIL, tr("planning {node}", node=node))]
        if kind == "run-started":
            self.folder = event.get("folder", "")
            return [(INFO, tr("run {run} begins", run=event.get("run", "")))]
        if kind == "progress":
            self._share(node, event.get("done"), event.get("total"))
        elif kind == "batch":
            self._share(node, event.get("rows"), event.get("planned"))
        elif kind == "node-finished":
            self.done[node] = 1.0
            return [(DETAIL, tr("{node} is done: {rows} rows", node=node, rows=event.get("rows", 0)))]
        elif kind == "log":
            level = WARNING if event.get("level") in ("warn", "error") else INFO
            return self._once(level, f"{node}: {event.get('message', '')}" if node else event.get("message", ""))
        elif kind == "record":
            return self._record(node, event.get("kind"), event.get("record") or {})
        elif kind == "note":
            return [(INFO, str(event.get("message", "")))]
        return []

    def _share(self, node: str, done: Any, total: Any) -> None:
        if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0:
            self.done[node] = max(self.done.get(node, 0.0), min(1.0, done / total))

    def _record(self, node: str, kind: Any, record: dict[str, Any]) -> list[tuple[str, str]]:
        if kind == "skipped":
            what = " ".join(str(record[key]) for key in ("item", "asset") if record.get(key))
            return self._once(WARNING, tr("left out: {what}: {reason}", what=what, reason=record.get("reason", "")))
        if kind == "decision" and record.get("item"):
            return self._once(DETAIL, f"{record.get('what')}: {record['item']}: {record.get('why')}")
        if kind == "output" and record.get("href"):
            return [(DETAIL, tr("written: {href}", href=record["href"]))]
        return []

    def _once(self, level: str, text: str) -> list[tuple[str, str]]:
        if text in self.said:
            return []
        self.said.add(text)
        return [(level, text)]
