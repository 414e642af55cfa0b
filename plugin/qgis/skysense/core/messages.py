"""What went wrong, in sentences that end with what to do."""

from __future__ import annotations

from typing import Any, Mapping

from .hints import in_words
from .process import Outcome
from .words import tr

CANCELLED = 130


def explain(outcome: Outcome, labels: Mapping[str, str] | None = None, own_file: bool = False) -> str:
    """Why a call failed. `labels` are the words of the form for params; the lines of a file that the plugin made are of
    no use to anybody (`own_file`)."""
    answer = outcome.answer or {}
    faults = [fault for fault in answer.get("faults") or [] if isinstance(fault, dict)]
    if faults:
        return "\n\n".join(_fault(fault, labels or {}, own_file) for fault in faults)
    error = answer.get("error")
    if isinstance(error, dict):
        return _error(error, own_file)
    # What `model verify` says of a package.
    if answer.get("problems"):
        return "\n\n".join(_sentence(str(problem)) for problem in answer["problems"])
    if outcome.exit == CANCELLED:
        return tr("The run was cancelled.")
    said = "\n".join(outcome.tail).strip() or tr("It said nothing.")
    return tr("skysense ended with the code {exit}. {said}", exit=outcome.exit, said=said)


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:] if text[0].isalpha() else text
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def _causes(what: Mapping[str, Any]) -> list[str]:
    return [_sentence(tr("Cause: {cause}", cause=cause)) for cause in what.get("causes") or []]


def _todo(what: Mapping[str, Any], own_file: bool) -> list[str]:
    hint = what.get("hint")
    if hint and own_file:
        hint = in_words(str(hint))
    return [_sentence(tr("What to do: {hint}", hint=hint))] if hint else []


def _fault(fault: Mapping[str, Any], labels: Mapping[str, str], own_file: bool) -> str:
    message = str(fault.get("message", ""))
    name = _param_of(message)
    if fault.get("code") == "unset-param" and name:
        return tr("“{label}” is not set. What to do: give it a value.", label=labels.get(name, name))
    parts = [_sentence(message)]
    for key, words in (("expected", tr("Expected: {text}")), ("found", tr("Found: {text}"))):
        if fault.get(key):
            parts.append(_sentence(words.format(text=fault[key])))
    parts += _causes(fault)
    if fault.get("file") and fault.get("line") and not own_file:
        parts.append(tr("It stands in {file}, line {line}.", file=fault["file"], line=fault["line"]))
    return " ".join(parts + _todo(fault, own_file))


def _param_of(message: str) -> str:
    parts = message.split("`")
    return parts[1] if len(parts) > 2 else ""


def _error(error: Mapping[str, Any], own_file: bool) -> str:
    parts = [_sentence(str(error.get("message", "")))]
    place = error.get("place") or {}
    if isinstance(place, dict) and place:
        where = ", ".join(f"{key} {value}" for key, value in place.items())
        parts.append(_sentence(tr("Where: {where}", where=where)))
    return " ".join(parts + _causes(error) + _todo(error, own_file))
