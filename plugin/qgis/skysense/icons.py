"""The plugin's icon."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon

FILE = str(Path(__file__).parent / "icon.svg")


def icon() -> QIcon:
    """The icon of plugin, provider and dock."""
    return QIcon(FILE)
