"""What the page of a diagnosis says, in English and Chinese, from one dictionary.

Every entry holds both languages, so that neither can lack a word; `{name}` is filled in, and a filled-in word may be in
both languages itself.
Proof: tests/report/test_diagnosis_page.py.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from markupsafe import Markup, escape

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Both:
    """One text in both languages; in a page it is two spans, of which the style sheet shows one."""

    en: str
    zh: str

    def __html__(self) -> str:
        if self.en == self.zh:
            return str(escape(self.en))
        return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(self.en, self.zh)

    def of(self, language: Language) -> str:
        """The text in one language."""
        return self.en if language == "en" else self.zh


@functools.cache
def dictionary() -> dict[str, Both]:
    """All entries by name."""
    text = (files("resight.report") / "templates" / "words.toml").read_text(encoding="utf-8")
    return {name: Both(row["en"], row["zh"]) for name, row in tomllib.loads(text).items()}


def say(name: str, /, **values: object) -> Both:
    """Fill in one entry; raises KeyError for a name that is not in the dictionary."""
    entry = dictionary()[name]

    def filled(language: Language) -> str:
        mine = {key: value.of(language) if isinstance(value, Both) else value for key, value in values.items()}
        return entry.of(language).format(**mine)

    return Both(filled("en"), filled("zh"))


def cause_name(cause: str) -> Both:
    """A cause in words; one that the dictionary lacks (of somebody's own thresholds) keeps its name."""
    if cause.startswith("sham"):
        return say("cause_sham")
    found = dictionary().get(f"cause_{cause}")
    plain = cause.replace("_", " ")
    return found if found is not None else Both(plain, plain)


def joined(parts: list[Both]) -> Both:
    """List texts with each language's comma."""
    return Both(", ".join(one.en for one in parts), "，".join(one.zh for one in parts))


def spoken(attribute: str, words: Both) -> Markup:
    """An attribute of an element in English, with both languages beside it for the switch."""
    if words.en == words.zh:
        return Markup('{}="{}"').format(attribute, words.en)
    return Markup('{0}="{1}" data-say="{0}" data-en="{1}" data-zh="{2}"').format(attribute, words.en, words.zh)
