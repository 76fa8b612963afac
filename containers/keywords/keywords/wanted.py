"""An own list of keywords: entries as a person types them, as the words that ingest makes of sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import regex

from stagekit.errors import StageError
from stagekit.tables import Reason
from stagekit.text.written import elided, lower, plain

MOST_JOINED = 30
"""Characters of a longest entry that a segmenter may have divided."""


class Wanted:
    """An own list of keywords; without one everything is wanted."""

    def __init__(self, listed: Sequence[str], language: str, text: Mapping[str, Any] | None = None):
        """``listed``: words as a person types them; they become what ingest makes of such words by the rules ``text``."""
        self.everything = not listed
        self._asked = {entry: _folded(entry, language, text or {}) for entry in listed}
        folded = set(self._asked.values())
        if "" in folded:
            raise StageError("--params keywords: an entry is empty")
        self._words = {f for f in folded if " " not in f and not _is_pattern(f)}
        self._patterns = [regex.compile(_regex(f)) for f in sorted(folded) if " " not in f and _is_pattern(f)]
        self._phrases = [[regex.compile(_regex(w)) for w in f.split(" ")] for f in sorted(folded) if " " in f]
        joined = (text or {}).get("segmenter", "spaces") != "spaces"
        self._joined = self._words if joined else frozenset[str]()
        self._exact = self._words | {f for f in folded if " " in f and not _is_pattern(f)}

    def exact(self, word: str) -> bool:
        """Whether the list names this very word or phrase."""
        return word in self._exact

    @lru_cache(maxsize=1 << 16)  # noqa: B019 - one object a stage
    def word(self, word: str) -> bool:
        """Whether a single word is wanted."""
        return word in self._words or any(p.fullmatch(word) for p in self._patterns)

    def phrases(self, words: Sequence[str], indexes: Sequence[int]) -> Iterator[tuple[int, int, str]]:
        """(first, count, phrase) of those wanted in a sentence; words that were not aligned stand between no two of one.

        Where a segmenter found the words, an entry may be several of them: 東京タワー is 東京 and タワー.
        """
        seen: set[tuple[int, int]] = set()
        for phrase in self._phrases:
            n = len(phrase)
            for i in range(len(words) - n + 1):
                if (i, n) in seen or indexes[i + n - 1] - indexes[i] != n - 1:
                    continue
                if all(p.fullmatch(w) for p, w in zip(phrase, words[i : i + n], strict=True)):
                    seen.add((i, n))
                    yield i, n, " ".join(words[i : i + n])
        for i in range(len(words)) if self._joined else ():
            whole = words[i]
            for k in range(i + 1, len(words)):
                if indexes[k] - indexes[k - 1] != 1 or len(whole) > MOST_JOINED:
                    break
                whole += words[k]
                if whole in self._joined:
                    yield i, k - i + 1, whole

    def report(self, clips: Mapping[str, int], verdicts: Mapping[str, Reason | None], min_clips: int) -> dict[str, Any]:
        """Which entries gave which keywords, and which gave none, and why. ``clips``: of each word that is spoken."""
        found: dict[str, list[str]] = {}
        missing = []
        for entry, folded in self._asked.items():
            pattern = regex.compile(" ".join(_regex(w) for w in folded.split(" ")))
            spoken = [word for word in clips if pattern.fullmatch(word)]
            if kept := sorted(w for w in spoken if verdicts[w] is None):
                found[entry] = kept
                continue
            best = max(spoken, key=lambda w: clips[w], default=None)
            if best is None:
                why = "in no sentence, in this spelling"
            elif verdicts[best] == Reason.WORD_SHORT:
                why = f"'{best}' is too short; name it without a wildcard"
            else:
                why = f"'{best}' has {clips[best]} clips, {min_clips} are needed"
            missing.append({"keyword": entry, "why": why})
        return {"asked": len(self._asked), "found": found, "not_there": missing}


def _folded(entry: str, language: str, rules: Mapping[str, Any]) -> str:
    """An entry as its words stand among a sentence's: "Peut-être" is "peut être", French "l'oncle" is "l' oncle"."""
    casing = rules.get("casing", "turkish" if language.partition("-")[0] in ("tr", "az") else "plain")
    text = lower(plain(unicodedata.normalize("NFC", entry)), casing)
    text = "".join(rules.get("replace", {}).get(c, c) for c in regex.sub(r"(?<=\w)[-‐‑](?=\w)", " ", text))
    if strip := rules.get("strip"):
        text = regex.sub(f"[{strip}]", "", text)
    words = text.split()
    if rules.get("apostrophe") == "elision":
        words = [part for word in words for part in _divided(word, rules.get("whole", ()), rules.get("enclitics", ()))]
    elif rules.get("apostrophe", "inside") == "inside":
        words = [word.strip("'") for word in words]
    return unicodedata.normalize("NFC", " ".join(filter(None, words)))


def _divided(word: str, whole: Sequence[str], enclitics: Sequence[str]) -> Iterator[str]:
    if word[:1] == "'" and word[1:] in enclitics:
        yield word
        return
    word = word.lstrip("'")
    yield from (part for a, b in elided(word, whole, enclitics) if (part := word[a:b]).strip("'"))


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _regex(word: str) -> str:
    """A word with ``*`` and ``?`` as a regular expression; brackets are letters like any other.

    A Greek sigma before a wildcard may be a final one.
    """
    wild = {"*": r"[^ ]*", "?": r"(?:[^ ]\p{M}*)"}
    pairs = zip(word, f"{word[1:]} ", strict=True)
    return "".join(wild.get(c) or ("[σς]" if c in "σς" and after in wild else regex.escape(c)) for c, after in pairs)
