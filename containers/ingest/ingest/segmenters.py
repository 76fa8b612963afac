"""Words of languages that write none: one well-kept library a language, imported when it is first needed.

Chinese: jieba (MIT), whose dictionary is of simplified characters: it is given each traditional one's simplified form, by OpenCC
(Apache-2.0), and its cuts are those of the text. Cantonese: PyCantonese (MIT). Thai: PyThaiNLP's newmm with its own dictionary
(Apache-2.0). Japanese: SudachiPy with its small dictionary (Apache-2.0), its longest units.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

from stagekit.errors import StageError

LIBRARIES = {
    "jieba": ("jieba", "opencc"),
    "pycantonese": ("pycantonese",),
    "pythainlp": ("pythainlp",),
    "sudachi": ("sudachipy", "sudachidict-small"),
}
"""Segmenter → distributions that decide its words."""


def words(text: str, segmenter: str) -> list[str]:
    """The words of a run of letters; together they are the run.

    Raises:
        StageError: there is no such segmenter, or it gave other letters than it was given.
    """
    found = _load(segmenter)(text)
    if "".join(found) != text:
        raise StageError(f"segmenter {segmenter} does not give back what it was given: {text!r} → {found!r}")
    return found


@cache
def _load(name: str) -> Callable[[str], list[str]]:
    match name:
        case "jieba":
            with warnings.catch_warnings():  # it writes regular expressions without r""
                warnings.simplefilter("ignore")
                import jieba

            jieba.setLogLevel(logging.WARNING)
            cutter = jieba.Tokenizer()  # built from its own dictionary
            cutter.cache_file = None
            return lambda text: _like(text, cutter.cut(_simplified(text)))
        case "pycantonese":
            import pycantonese

            return lambda text: list(pycantonese.segment(text))
        case "pythainlp":
            from pythainlp.tokenize import word_tokenize

            return lambda text: list(word_tokenize(text, engine="newmm", keep_whitespace=True))
        case "sudachi":
            from sudachipy import Dictionary, SplitMode

            tokenizer = Dictionary(dict="small").tokenizer(mode=SplitMode.C)
            return lambda text: [m.surface() for m in tokenizer.tokenize(text)]
        case _:
            raise StageError(f"no segmenter '{name}'; known: {', '.join(sorted(LIBRARIES))}")


def _simplified(text: str) -> str:
    """As many characters, each in its simplified form."""
    return "".join(map(_simple, text))


@cache
def _simple(character: str) -> str:
    found = _converter().convert(character)
    return found if len(found) == 1 else character


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def _like(text: str, cut: Iterable[str]) -> list[str]:
    """The text, cut at the same places as another of its length."""
    ends = list(accumulate(len(word) for word in cut))
    return [text[a:b] for a, b in pairwise([0, *ends])]
