"""What was given to the parameters of a workflow, as `-p` takes it."""

from __future__ import annotations

import os
from typing import Any, Callable

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingFeedback

from ..core import fields
from ..core.fields import Field
from . import layers
from .parameters import END, START


def read(
    algorithm: QgsProcessingAlgorithm,
    form: list[Field],
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> dict[str, str]:
    """Values by the name of the param. What stays empty is left out, so that the workflow's default holds."""
    given: dict[str, str] = {}
    for field in form:
        text = _READERS[field.kind](algorithm, field, parameters, context, feedback)
        if text not in ("", None):
            given[field.param.name] = text
    return given


def day(algorithm: QgsProcessingAlgorithm, name: str, parameters, context) -> str:
    """A day as text; empty where none is given."""
    value = algorithm.parameterAsDateTime(parameters, name, context)
    return value.date().toString("yyyy-MM-dd") if value is not None and value.isValid() else ""


def _is_given(parameters, name: str) -> bool:
    return parameters.get(name) not in (None, "")


def _string(algorithm, field: Field, parameters, context, feedback) -> str:
    return algorithm.parameterAsString(parameters, field.param.name, context).strip()


def _number(algorithm, field: Field, parameters, context, feedback) -> str:
    if not _has_value(algorithm, field, parameters):
        return ""
    return repr(algorithm.parameterAsDouble(parameters, field.param.name, context))


def _integer(algorithm, field: Field, parameters, context, feedback) -> str:
    if not _has_value(algorithm, field, parameters):
        return ""
    return str(algorithm.parameterAsInt(parameters, field.param.name, context))


def _has_value(algorithm, field: Field, parameters) -> bool:
    if field.param.name in parameters:
        return _is_given(parameters, field.param.name)
    return algorithm.parameterDefinition(field.param.name).defaultValue() is not None


def _boolean(algorithm, field: Field, parameters, context, feedback) -> str:
    if not _has_value(algorithm, field, parameters):
        return ""
    return "true" if algorithm.parameterAsBoolean(parameters, field.param.name, context) else "false"


def _enum(algorithm, field: Field, parameters, context, feedback) -> str:
    return algorithm.parameterAsEnumString(parameters, field.param.name, context)


def _date(algorithm, field: Field, parameters, context, feedback) -> str:
    return day(algorithm, field.param.name, parameters, context)


def _dates(algorithm, field: Field, parameters, context, feedback) -> str:
    ends = (day(algorithm, field.param.name + end, parameters, context) for end in (START, END))
    return fields.interval(*ends)


def _extent(algorithm, field: Field, parameters, context, feedback) -> str:
    box = layers.degrees(algorithm, parameters, field.param.name, context)
    return fields.bbox(*box) if box else ""


def _crs(algorithm, field: Field, parameters, context, feedback) -> str:
    return layers.crs_text(algorithm.parameterAsCrs(parameters, field.param.name, context))


def _raster(algorithm, field: Field, parameters, context, feedback) -> str:
    layer = algorithm.parameterAsRasterLayer(parameters, field.param.name, context)
    return layers.whole_file(layer) if layer else ""


def _area(algorithm, field: Field, parameters, context, feedback) -> str:
    layer = algorithm.parameterAsVectorLayer(parameters, field.param.name, context)
    return layers.area_file(layer, context) if layer else ""


def _file(algorithm, field: Field, parameters, context, feedback) -> str:
    return algorithm.parameterAsFile(parameters, field.param.name, context)


def _folder_out(algorithm, field: Field, parameters, context, feedback) -> str:
    folder = algorithm.parameterAsString(parameters, field.param.name, context)
    return os.path.abspath(folder) if folder and "://" not in folder else folder


def _file_out(algorithm, field: Field, parameters, context, feedback) -> str:
    return os.path.abspath(algorithm.parameterAsFileOutput(parameters, field.param.name, context))


def _model(algorithm, field: Field, parameters, context, feedback) -> str:
    return layers.model_folder(algorithm.parameterAsString(parameters, field.param.name, context))


_Reader = Callable[..., str]
_READERS: dict[str, _Reader] = {
    fields.TEXT: _string,
    fields.HREF: _string,
    fields.NUMBER: _number,
    fields.INTEGER: _integer,
    fields.BAND: _integer,
    fields.BOOLEAN: _boolean,
    fields.ENUM: _enum,
    fields.DATE: _date,
    fields.DATES: _dates,
    fields.EXTENT: _extent,
    fields.CRS: _crs,
    fields.RASTER: _raster,
    fields.AREA: _area,
    fields.FILE: _file,
    fields.FOLDER_OUT: _folder_out,
    fields.FILE_OUT: _file_out,
    fields.MODEL: _model,
}
