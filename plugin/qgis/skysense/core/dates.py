"""When a raster layer was taken, by what its file and name say."""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")


def of_name(*names: str) -> str:
    """The first date in these names, as `2021-05-03`; empty where there is none."""
    for name in names:
        for match in _DAY.finditer(name):
            try:
                return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
            except ValueError:
                continue  # The 31st of a month that has 30 days.
    return ""


def listed(text: str, count: int) -> list[str]:
    """Dates that the user wrote, one for each layer or one for all."""
    dates = [part.strip() for part in re.split(r"[,;\s]+", text) if part.strip()]
    return dates * count if len(dates) == 1 else dates
