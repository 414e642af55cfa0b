"""Names of GDAL for one raster of a file that holds several: `NETCDF:"/a.nc":B02`, `GPKG:/a.gpkg:B02`."""

from __future__ import annotations

import re

_NAME = re.compile(r'^[A-Za-z][A-Za-z0-9_]{1,}:("(?P<quoted>[^"]+)"|(?P<plain>/[^:]+)):(?P<part>.+)$')


def split(name: str) -> tuple[str, str | None]:
    """The file, and which of its rasters; none where the name is not of this kind."""
    match = _NAME.match(name)
    if not match:
        return name, None
    return match["quoted"] or match["plain"], match["part"].lstrip("/")
