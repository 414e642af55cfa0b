"""Words in the language of the user: `i18n/LANGUAGE.json` maps English texts to others.

JSON instead of Qt's .qm, so that no build step stands between the source and the plugin.
"""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "i18n"

_words: dict[str, str] = {}


def read(language: str, folder: Path = FOLDER) -> dict[str, str]:
    """The words of a language such as `de` or `de_AT`; none where there is no file."""
    for name in (language, language.split("_", maxsplit=1)[0]):
        file = folder / f"{name}.json"
        if name and file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    return {}


def speak(language: str) -> None:
    """From now on texts are in this language, where it has them."""
    _words.clear()
    _words.update(read(language))


def tr(text: str, **values: object) -> str:
    """The text in the user's language, its `{names}` filled in."""
    said = _words.get(text, text)
    return said.format(**values) if values else said
