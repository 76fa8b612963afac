"""Words of languages that write none: one well-kept library a language, imported when it is first needed.

Chinese: jieba (MIT). Thai: PyThaiNLP's newmm with its own dictionary (Apache-2.0). Japanese: SudachiPy with its small dictionary
(Apache-2.0), its longest units.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import cache

from stagekit.errors import StageError

LIBRARIES = {"jieba": ("jieba",), "pythainlp": ("pythainlp",), "sudachi": ("sudachipy", "sudachidict-small")}
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
            return lambda text: list(cutter.cut(text))
        case "pythainlp":
            from pythainlp.tokenize import word_tokenize

            return lambda text: list(word_tokenize(text, engine="newmm", keep_whitespace=True))
        case "sudachi":
            from sudachipy import Dictionary, SplitMode

            tokenizer = Dictionary(dict="small").tokenizer(mode=SplitMode.C)
            return lambda text: [m.surface() for m in tokenizer.tokenize(text)]
        case _:
            raise StageError(f"no segmenter '{name}'; known: {', '.join(sorted(LIBRARIES))}")
