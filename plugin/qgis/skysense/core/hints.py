"""Hints of the command in the words of the forms: who fills in a form has no YAML to mend."""

from __future__ import annotations

from .words import tr

# What a hint of the command holds, and what the form calls it.
_FORMS = (
    ("`bands: subset`", "choose “the bands that are there will do” under Bands"),
    ("radiometry: {", "choose what the numbers are under “Numbers of the layers”"),
    ("map collections to sensors", "name collections of a known sensor, or make a workflow that maps them to sensors"),
    ("`exists: replace`", "choose another folder"),
    ("on_error", "leave the image out of the search"),
    ("cloud_cover", "widen dates, area and cloud cover, and check the collections"),
)


def in_words(hint: str) -> str:
    """The hint for a form; as it is where it speaks of no setting."""
    for part, words in _FORMS:
        if part in hint:
            return tr(words)
    return hint
