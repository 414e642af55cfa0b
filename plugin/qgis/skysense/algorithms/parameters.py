"""Parameters of Processing for the fields of a form."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)
from qgis.PyQt.QtCore import QDate

from .. import session, settings
from ..core import binary, fields, models
from ..core.fields import Field
from ..core.words import tr

LOAD = "LOAD"
START, END = "_start", "_end"


def advanced(parameter: QgsProcessingParameterDefinition) -> QgsProcessingParameterDefinition:
    """Behind the fold of the dialog."""
    parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return parameter


def add_load(algorithm: QgsProcessingAlgorithm) -> None:
    """Whether results become layers of the project."""
    algorithm.addParameter(QgsProcessingParameterBoolean(LOAD, tr("Load the results with their legend"), True))


def model_parameter(name: str, title: str, default: Any = None, optional: bool = False):
    """A model: the name of one that is known, or the folder of a package."""
    parameter = QgsProcessingParameterString(name, title, default, optional=optional)
    try:
        hints = models.titles(session.models())
    except (binary.Missing, QgsProcessingException):
        # A form is shown all the same; whoever runs it is told.
        hints = []
    parameter.setMetadata({"widget_wrapper": {"value_hints": hints}})
    parameter.setHelp(tr("The name of a model that was added, or the folder of a model package."))
    return parameter


def date_parameter(name: str, title: str, default: str = "", optional: bool = True):
    """A day."""
    value = QDate.fromString(default, "yyyy-MM-dd") if default else None
    return QgsProcessingParameterDateTime(
        name, title, QgsProcessingParameterDateTime.Type.Date, defaultValue=value, optional=optional
    )


def parameters_of(form: list[Field], home: Path) -> list[QgsProcessingParameterDefinition]:
    """The parameters of the form of a workflow that lies in a folder; two for an interval of dates."""
    made = []
    for field in form:
        made += _AT_HOME[field.kind](field, home) if field.kind in _AT_HOME else _MAKERS[field.kind](field)
    return made


def _text(field: Field):
    default = _literal(field.param.default)
    return [QgsProcessingParameterString(field.param.name, field.label, default, optional=field.optional)]


def _number(kind):
    def make(field: Field):
        param = field.param
        bounds = {}
        if param.min is not None:
            bounds["minValue"] = param.min
        if param.max is not None:
            bounds["maxValue"] = param.max
        default = _literal(param.default)
        return [
            QgsProcessingParameterNumber(
                param.name, field.label, kind, defaultValue=default, optional=field.optional, **bounds
            )
        ]

    return make


def _literal(default: Any) -> Any:
    """A default that a field can show: references to the environment are left to the command."""
    return None if isinstance(default, str) and default.startswith("$") else default


def _boolean(field: Field):
    return [QgsProcessingParameterBoolean(field.param.name, field.label, _literal(field.param.default), field.optional)]


def _enum(field: Field):
    options = list(field.param.values)
    return [
        QgsProcessingParameterEnum(
            field.param.name,
            field.label,
            options,
            defaultValue=_literal(field.param.default),
            optional=field.optional,
            usesStaticStrings=True,
        )
    ]


def _date(field: Field):
    return [date_parameter(field.param.name, field.label, fields.dates_of(field.param.default)[0], field.optional)]


def _dates(field: Field):
    start, end = fields.dates_of(field.param.default)
    name = field.param.name
    return [
        date_parameter(name + START, tr("{label}: first day", label=field.label), start),
        date_parameter(name + END, tr("{label}: last day", label=field.label), end),
    ]


def _extent(field: Field):
    return [QgsProcessingParameterExtent(field.param.name, field.label, None, field.optional)]


def _crs(field: Field):
    return [QgsProcessingParameterCrs(field.param.name, field.label, None, field.optional)]


def _raster(field: Field):
    return [QgsProcessingParameterRasterLayer(field.param.name, field.label, None, field.optional)]


def _band(field: Field):
    default = _literal(field.param.default)
    return [QgsProcessingParameterBand(field.param.name, field.label, default, field.parent, field.optional)]


def _area(field: Field):
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon]
    return [QgsProcessingParameterVectorLayer(field.param.name, field.label, kinds, None, field.optional)]


def _beside(default: Any, home: Path) -> str | None:
    """Where a default lies, if it does: relative paths start at the folder of the workflow."""
    if not isinstance(default, str) or not default or not (home / default).exists():
        return None
    return str(home / default)


def _href(field: Field, home: Path):
    default = _literal(field.param.default)
    shown = default if isinstance(default, str) and "://" in default else _beside(default, home)
    if shown is None and ("stac.search", "/href") in field.param.fills:
        shown = settings.text(settings.CATALOG)
    return [QgsProcessingParameterString(field.param.name, field.label, shown, optional=field.optional)]


def _file(field: Field):
    return [QgsProcessingParameterFile(field.param.name, field.label, optional=field.optional)]


def _folder_out(field: Field):
    return [QgsProcessingParameterFolderDestination(field.param.name, field.label)]


def _file_out(field: Field):
    ending = PurePath(str(_literal(field.param.default) or "")).suffix.lstrip(".") or "json"
    return [QgsProcessingParameterFileDestination(field.param.name, field.label, f"{ending.upper()} (*.{ending})")]


def _model(field: Field, home: Path):
    default = _literal(field.param.default)
    return [model_parameter(field.param.name, field.label, _beside(default, home) or default, field.optional)]


_MAKERS = {
    fields.TEXT: _text,
    fields.NUMBER: _number(QgsProcessingParameterNumber.Type.Double),
    fields.INTEGER: _number(QgsProcessingParameterNumber.Type.Integer),
    fields.BOOLEAN: _boolean,
    fields.ENUM: _enum,
    fields.DATE: _date,
    fields.DATES: _dates,
    fields.EXTENT: _extent,
    fields.CRS: _crs,
    fields.RASTER: _raster,
    fields.BAND: _band,
    fields.AREA: _area,
    fields.FILE: _file,
    fields.FOLDER_OUT: _folder_out,
    fields.FILE_OUT: _file_out,
}
_AT_HOME = {fields.HREF: _href, fields.MODEL: _model}
