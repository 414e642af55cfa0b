"""The plugin: its provider, and with a desktop its dock."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QLocale, Qt

try:
    from qgis.PyQt.QtWidgets import QAction
except ImportError:
    # Where Qt 6 has it.
    from qgis.PyQt.QtGui import QAction

from . import icons
from .core import words
from .provider import SkySenseProvider


class SkySensePlugin:
    """What QGIS loads."""

    def __init__(self, iface) -> None:
        self.iface = iface
        self.provider: SkySenseProvider | None = None
        self.dock: Any = None
        self.action: QAction | None = None
        words.speak(_language())

    def initProcessing(self) -> None:
        """Called alone by `qgis_process`, which has no desktop."""
        self.provider = SkySenseProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        self.initProcessing()
        from .dock.dock import SkySenseDock

        self.dock = SkySenseDock(self.iface, self.provider)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self.action = QAction(icons.icon(), "SkySense", self.iface.mainWindow())
        self.action.setCheckable(True)
        self.action.toggled.connect(self.dock.setUserVisible)
        self.dock.visibilityChanged.connect(self.action.setChecked)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToMenu("SkySense", self.action)

    def unload(self) -> None:
        if self.action is not None:
            self.iface.removeToolBarIcon(self.action)
            self.iface.removePluginMenu("SkySense", self.action)
        if self.dock is not None:
            self.dock.close_down()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
        self.action = self.dock = self.provider = None


def _language() -> str:
    if QgsSettings().value("locale/overrideFlag", False, type=bool):
        return str(QgsSettings().value("locale/userLocale", ""))
    return QLocale.system().name()
