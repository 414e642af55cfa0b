"""SkySense in QGIS."""


def classFactory(iface):
    from .plugin import SkySensePlugin

    return SkySensePlugin(iface)
