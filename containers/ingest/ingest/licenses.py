"""Licenses: a URL becomes (family, version, jurisdiction), and what a source states becomes a decision.

The rules are exact: the host must be the license steward's own, and the path must be one that it serves. Nothing is searched for
inside a longer string, so a look-alike host, a URL inside a query, or free text never grants anything. Free text can only
take away: a ``rights`` field that says "non-commercial" beside a CC BY URL is a conflict.

URL forms: creativecommons.org's own (license, version, ported jurisdiction, ``deed``, ``legalcode``), the retired
``licenses/publicdomain``, and two of usa.gov. ``licenses/cc0/3.0`` never was a license of Creative Commons, yet items of the
Internet Archive state it for CC0 and The People's Speech took it as that; it is read as CC0 without a version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize
from urllib.parse import parse_qsl, urlsplit

from stagekit.tables import Reason

ACCEPTED_FAMILIES = frozenset({"by", "by-sa", "cc0", "pd", "us-gov"})
"""Families whose works may be cut up and given away again, commercially too."""

_CC_HOSTS = frozenset({"creativecommons.org", "www.creativecommons.org"})
_USA_HOSTS = frozenset({"usa.gov", "www.usa.gov"})
_CODES = frozenset(
    "by by-sa by-nd by-nc by-nc-sa by-nc-nd by-nd-nc nc nc-sa nd nd-nc sa sampling sampling+ nc-sampling+ devnations".split()
)
_VERSIONS = frozenset({"1.0", "2.0", "2.1", "2.5", "3.0", "4.0"})
_JURISDICTIONS = frozenset(
    "ar at au az be bg br ca ch cl cn co cr cz de dk ec ee eg es fi fr ge gr gt hk hr hu ie igo il in "
    "it jp kr lu mk mt mx my nl no nz "
    "pe ph pl pr pt ro rs scotland se sg si th tw ug uk us ve vn za".split()
)
_PAGE = re.compile(r"(deed|legalcode)(\.(txt|[a-z]{2,3}([-_][a-z0-9]{2,4})?))?")
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{2,4})?", re.I)
_TEXT_URL = re.compile(r"https?://[^\s<>\"']+", re.I)
_RESTRICTIONS = (
    "all rights reserved", "non commercial", "noncommercial", "non commercially", "noncommercially", "not for commercial",
    "no commercial use", "no derivatives", "no derivative works", "no derivs", "noderivatives", "noderivs", "not for sale",
    "no comercial", "nocomercial", "sin obra derivada", "sinobraderivada", "sinderivadas", "não comercial", "nãocomercial",
    "semderivações", "semderivados", "pas d utilisation commerciale", "pas de modification", "nicht kommerziell",
    "keine bearbeitung", "keine bearbeitungen",
    "cc by nc", "cc by nd", "cc by nc sa", "cc by nc nd", "by nc sa", "by nc nd", "by nc", "by nd", "in copyright",
    "permission required", "personal use only", "educational use only",
)  # fmt: skip
"""Word sequences in a free-text rights statement that contradict an open license, some as Creative Commons translates them."""
_NO_RESTRICTIONS = re.compile(
    r"\b(?:(?:not|no longer) in copyright|no commercial use restrictions?"
    r"|commercial(?:ly)? (?:and|or|and or) non ?commercial(?:ly)?|non ?commercial(?:ly)? (?:and|or|and or) commercial(?:ly)?)\b"
)
"""What holds words of restriction and is none. NOT_IN_COPYRIGHT is what ``possible-copyright-status`` mostly says."""
_SENTENCE_END = re.compile(r"[.!?]\s+|[。！？\n]")
_WORD = re.compile(r"[a-z0-9\u00df-\u00f6\u00f8-\u024f]+")
"""Latin letters only, so that scripts without blanks do not hide a word."""


class UnknownLicense(ValueError):  # noqa: N818 - reads as what it is where it is raised
    """A string is not the URL of a license this module knows. The message says why."""


@dataclass(frozen=True)
class License:
    """A license by name. ``family`` is lower case (`by`, `by-sa`, `by-nc`, …, `cc0`, `pd`, `us-gov`)."""

    family: str
    version: str | None = None
    jurisdiction: str | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.family, self.version, self.jurisdiction) if part)


@dataclass(frozen=True)
class Statement:
    """What a source says about rights, and where.

    ``value`` is a string, a list of strings, or None. ``evidence`` says where it stood (file or metadata URL, and field).
    ``seen_at`` is the date it was read, ISO 8601. A ``note`` is free text (a rights field): it can contradict, never grant.
    """

    value: object
    evidence: str
    seen_at: str
    note: bool = False


@dataclass(frozen=True)
class Accepted:
    """The one license of an item. ``evidence`` holds the place and the literal value."""

    license: License
    url: str
    evidence: str
    seen_at: str

    def columns(self) -> dict[str, str | None]:
        """The license columns of the items table."""
        return {
            "license_family": self.license.family,
            "license_version": self.license.version,
            "license_jurisdiction": self.license.jurisdiction,
            "license_url": self.url,
            "license_evidence": self.evidence,
            "license_seen_at": self.seen_at,
        }


@dataclass(frozen=True)
class Rejected:
    """Why an item may not be used."""

    reason: Reason
    detail: str


def parse_license(url: str) -> License:
    """Read a license URL.

    Args:
        url: ``http`` or ``https``, or without a scheme; blanks around it, case, ``www.``, a trailing slash and the deed or
        legal-code
            page do not matter.

    Raises:
        UnknownLicense: anything else.

    >>> str(parse_license("http://creativecommons.org/licenses/by/3.0/de/deed.en"))
    'by 3.0 de'
    """
    text = url.strip()
    if not text:
        raise UnknownLicense("empty")
    # urlsplit() drops tabs and line breaks: without this check 'by\n-nc' would change under our eyes.
    if any(c.isspace() or not c.isprintable() or c in "\\%" for c in text):
        raise UnknownLicense(f"{text[:200]!r} is not a plain URL")
    if text.startswith("//"):
        text = "https:" + text
    elif "://" not in text:
        text = "https://" + text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UnknownLicense(f"{text[:200]!r} is not a URL ({error})") from None
    if (
        parts.scheme not in ("http", "https")
        or port not in (None, 80, 443)
        or parts.username is not None
        or parts.password is not None
    ):
        raise UnknownLicense(f"{text[:200]!r} is not the plain web address of a license")
    host = (parts.hostname or "").lower()
    segments = [s for s in parts.path.lower().split("/") if s]
    if host in _USA_HOSTS:
        found = _usa(segments)
    elif host in _CC_HOSTS:
        found = _creative_commons(segments)
    else:
        raise UnknownLicense(f"{host or text[:200]!r} is not a host that licenses are read from")
    if found is None or not _harmless_query(parts.query):
        raise UnknownLicense(f"{text[:200]} is not a license page")
    return found


def _harmless_query(query: str) -> bool:
    """Only what creativecommons.org itself appends: ``?ref=chooser-v1``, ``?lang=de``."""
    for key, value in parse_qsl(query, keep_blank_values=True):
        if not ((key == "ref" and value == "chooser-v1") or (key == "lang" and _LANGUAGE.fullmatch(value))):
            return False
    return True


def _usa(segments: list[str]) -> License | None:
    if segments == ["government-works"]:
        return License("us-gov")
    if segments == ["publicdomain", "label", "1.0"]:
        return License("us-gov", "1.0")
    return None


def _creative_commons(segments: list[str]) -> License | None:
    if segments and _PAGE.fullmatch(segments[-1]):
        segments = segments[:-1]
    match segments:
        case ["licenses", "publicdomain"] | ["licenses", "publicdomain", "us"]:
            return License("pd")
        case ["publicdomain", "mark", "1.0"]:
            return License("pd", "1.0")
        case ["publicdomain", "certification", "1.0", "us"]:
            return License("pd", "1.0", "us")
        case ["publicdomain", "zero", "1.0"]:
            return License("cc0", "1.0")
        case ["licenses", "cc0", "1.0" | "3.0"]:
            return License("cc0")
        case ["licenses", code, version] if code in _CODES and version in _VERSIONS and version != "2.1":
            return License(code, version)
        case ["licenses", code, version, place] if code in _CODES and version in _VERSIONS and place in _JURISDICTIONS:
            return None if version == "4.0" else License(code, version, place)
    return None


def decide(stated: Sequence[Statement]) -> Accepted | Rejected:
    """One license from all that a source states, or the reason why there is none.

    Every stated value must be a license URL that is known, and all of them the same license; nothing in a note may contradict it.
    The first statement of it becomes the evidence.
    """
    found: list[tuple[License, str, Statement]] = []
    unknown: list[str] = []
    for statement in stated:
        if statement.note:
            continue
        for value in _values(statement.value):
            try:
                found.append((parse_license(value), value, statement))
            except UnknownLicense as error:
                unknown.append(f"{statement.evidence}: {error}")
    if not found and not unknown:
        return Rejected(Reason.LICENSE_MISSING, "no license is stated")
    licenses = list(dict.fromkeys(license for license, _, _ in found))
    names = ", ".join(map(str, licenses))
    if not licenses:
        return Rejected(Reason.LICENSE_UNKNOWN, "; ".join(unknown))
    if not any(license.family in ACCEPTED_FAMILIES for license in licenses):
        reason = _refusal(licenses)
        return Rejected(reason, f"stated license: {names}" + (f"; and {'; '.join(unknown)}" if unknown else ""))
    if len(licenses) > 1 or unknown:
        return Rejected(Reason.LICENSE_CONFLICT, f"stated licenses differ: {'; '.join([names, *unknown])}")
    license, url, statement = found[0]
    for note in (s for s in stated if s.note):
        for value in _values(note.value):
            if said := contradiction(value, license):
                return Rejected(Reason.LICENSE_CONFLICT, f"{license} is stated, but {note.evidence} says {said!r}")
    return Accepted(license, url.strip(), f"{statement.evidence}: {url}", statement.seen_at)


def _refusal(licenses: Sequence[License]) -> Reason:
    terms = {term for license in licenses for term in license.family.split("-")}
    if "nc" in terms:
        return Reason.LICENSE_NONCOMMERCIAL
    return Reason.LICENSE_NO_DERIVATIVES if "nd" in terms else Reason.LICENSE_UNKNOWN


def contradiction(text: str, license: License) -> str | None:
    """What a free-text rights statement says against a license.

    Another license's URL, or words of restriction; None if nothing.
    """
    for url in _TEXT_URL.findall(text):
        try:
            other = parse_license(url.rstrip(".,;:)]"))
        except UnknownLicense:
            continue
        if other != license:
            return url
    sentences = (" ".join(_WORD.findall(s)) for s in _SENTENCE_END.split(normalize("NFC", text).lower()))
    said = [f" {_NO_RESTRICTIONS.sub(' ', words)} " for words in sentences]
    return next((phrase for phrase in _RESTRICTIONS if any(f" {phrase} " in words for words in said)), None)


def _values(value: object) -> list[str]:
    """The non-blank strings in a metadata field, which may be a string, a list of them, or anything else that JSON holds."""
    if value is None:
        return []
    items = value if isinstance(value, list | tuple) else [value]
    return [text for item in items if item is not None and (text := item if isinstance(item, str) else repr(item)).strip()]
