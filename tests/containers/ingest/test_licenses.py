"""Only a license steward's own URL grants anything; whatever is unclear is a rejection with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.licenses import ACCEPTED_FAMILIES, Accepted, License, Rejected, Statement, UnknownLicense, decide, parse_license
from stagekit.tables import Reason

CC = "creativecommons.org"
BY4 = f"https://{CC}/licenses/by/4.0/"


def said(*values: object, note: object = None) -> list[Statement]:
    statements = [Statement(v, f"metadata.jsonl line {i} license_url", "2026-11-01") for i, v in enumerate(values, 1)]
    return [*statements, Statement(note, "rights", "2026-11-01", note=True)] if note is not None else statements


@pytest.mark.parametrize(
    ("url", "license"),
    [
        (BY4, License("by", "4.0")),
        (f"http://{CC}/licenses/by/4.0", License("by", "4.0")),
        (f"HTTP://WWW.{CC.upper()}/LICENSES/BY/4.0/", License("by", "4.0")),
        (f"  http://{CC}/licenses/by-sa/3.0/ \n", License("by-sa", "3.0")),
        (f"http://{CC}/licenses/by/3.0/de/", License("by", "3.0", "de")),
        (f"http://{CC}/licenses/by-sa/2.5/scotland/deed.en_GB", License("by-sa", "2.5", "scotland")),
        (f"http://{CC}/licenses/by/2.1/jp/legalcode", License("by", "2.1", "jp")),
        (f"https://{CC}/licenses/by/4.0/deed.de", License("by", "4.0")),
        (f"https://{CC}/licenses/by/4.0/deed.zh-hans", License("by", "4.0")),
        (f"https://{CC}/licenses/by/4.0/legalcode", License("by", "4.0")),
        (f"https://{CC}/licenses/by/4.0/legalcode.txt", License("by", "4.0")),
        (f"https://{CC}/licenses/by/4.0/?ref=chooser-v1", License("by", "4.0")),
        (f"https://{CC}/licenses/by/4.0/?lang=en#deed", License("by", "4.0")),
        (f"https://{CC}:443/licenses/by/4.0/", License("by", "4.0")),
        (f"{CC}/licenses/by/4.0/", License("by", "4.0")),
        (f"//{CC}/licenses/by/4.0/", License("by", "4.0")),
        (f"http://{CC}/licenses/publicdomain/", License("pd")),
        (f"http://{CC}/licenses/publicdomain/deed.fr", License("pd")),
        (f"http://{CC}/publicdomain/mark/1.0/", License("pd", "1.0")),
        (f"http://{CC}/publicdomain/zero/1.0/", License("cc0", "1.0")),
        (f"http://{CC}/publicdomain/zero/1.0/deed.en", License("cc0", "1.0")),
        (f"http://{CC}/publicdomain/certification/1.0/us/", License("pd", "1.0", "us")),
        (f"http://{CC}/licenses/cc0/3.0/", License("cc0")),
        ("http://www.usa.gov/government-works", License("us-gov")),
        ("https://www.usa.gov/publicdomain/label/1.0/", License("us-gov", "1.0")),
        (f"http://{CC}/licenses/by-nc-nd/3.0/", License("by-nc-nd", "3.0")),
        (f"http://{CC}/licenses/by-nd/2.0/uk/", License("by-nd", "2.0", "uk")),
        (f"http://{CC}/licenses/sampling+/1.0/", License("sampling+", "1.0")),
    ],
)
def test_license_urls_are_read(url: str, license: License) -> None:
    assert parse_license(url) == license


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org.evil.com/licenses/by/4.0/",
        "https://evilcreativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org@evil.com/licenses/by/4.0/",
        "https://evil.com@creativecommons.org/licenses/by/4.0/",
        "https://evil.example/?u=https://creativecommons.org/licenses/by/4.0/",
        "https://evil.example/#https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/licenses/by/4.0/?actually=by-nc",
        "https://creativecommons.org/licenses/by/4.0/?lang=by-nc-nd-etc",
        "https://creativecommons.org/?u=/licenses/by/4.0/",
        "https://creativecommons.org:8080/licenses/by/4.0/",
        "https://creativecommons.org./licenses/by/4.0/",
        "ftp://creativecommons.org/licenses/by/4.0/",
        "javascript://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/licenses/by\n-nc/4.0/",
        "https://creativecommons.org/licenses/by/4.0/ (except music)",
        "https://creativecommons.org/licenses/by%2F4.0/",
        "https://creativecommons.org\\licenses\\by\\4.0",
        "https://creativecommons.org/licenses/by/../by-nc/4.0/",
        "https://creativecommons.org/licenses/by/4.0/and/more",
        "https://creativecommons.org/licenses/by/4.00/",
        "https://creativecommons.org/licenses/by/5.0/",
        "https://creativecommons.org/licenses/by/4.0/de/",
        "https://creativecommons.org/licenses/by/3.0/xx/",
        "https://creativecommons.org/licenses/by/2.1/",
        "https://creativecommons.org/licenses/by/",
        "https://creativecommons.org/licenses/",
        "https://creativecommons.org/",
        "https://de.creativecommons.org/licenses/by/4.0/",
        "https://creativecоmmons.org/licenses/by/4.0/",  # a Cyrillic о
        "https://creativecommons。org/licenses/by/4.0/",
        "https://[creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org:99999/licenses/by/4.0/",
        "https://www.usa.gov/",
        "https://usa.gov.example/government-works",
        "Public domain",
        "CC BY 4.0",
        "",
        "   ",
    ],
)
def test_everything_else_grants_nothing(url: str) -> None:
    with pytest.raises(UnknownLicense):
        parse_license(url)


@given(st.text())
def test_arbitrary_text_never_parses_to_an_accepted_license(text: str) -> None:
    try:
        assert parse_license(text).family not in ACCEPTED_FAMILIES
    except UnknownLicense:
        pass


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789.-/@:?#", max_size=40), st.sampled_from(["before", "after"]))
def test_a_good_url_inside_a_longer_one_is_read_only_at_its_own_place(junk: str, where: str) -> None:
    url = junk + BY4 if where == "before" else f"https://{CC}{junk}.example/licenses/by/4.0/"
    try:
        license = parse_license(url)
    except UnknownLicense:
        return
    assert where == "before" and not junk.strip("/"), (url, license)


def test_one_license_said_several_ways_is_accepted_with_its_evidence() -> None:
    decision = decide(said([f" http://{CC}/licenses/by/4.0", BY4], f"{BY4}deed.fr", note="Recorded at the town hall; CC BY 4.0."))
    assert isinstance(decision, Accepted)
    assert decision.license == License("by", "4.0")
    assert decision.columns() == {
        "license_family": "by",
        "license_version": "4.0",
        "license_jurisdiction": None,
        "license_url": f"http://{CC}/licenses/by/4.0",
        "license_evidence": f"metadata.jsonl line 1 license_url:  http://{CC}/licenses/by/4.0",
        "license_seen_at": "2026-11-01",
    }


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("NOT_IN_COPYRIGHT", None),
        ("Public domain; no longer in copyright in the USA.", None),
        ("No known copyright restrictions; no rights reserved", None),
        ("IN_COPYRIGHT", Reason.LICENSE_CONFLICT),
        ("Not for commercial use.", Reason.LICENSE_CONFLICT),
        ("No commercial use without permission", Reason.LICENSE_CONFLICT),
        ("May be shared non-commercially", Reason.LICENSE_CONFLICT),
        ("Not in copyright in Peru, in copyright in Spain", Reason.LICENSE_CONFLICT),
        ("Creative Commons Attribution-No Derivative Works 3.0", Reason.LICENSE_CONFLICT),
        ("Creative Commons Reconocimiento-NoComercial-SinObraDerivada 2.5 España", Reason.LICENSE_CONFLICT),
        ("Atribuição-NãoComercial 4.0", Reason.LICENSE_CONFLICT),
        ("na\u0303o comercial", Reason.LICENSE_CONFLICT),
        ("版权所有All rights reserved。", Reason.LICENSE_CONFLICT),
        ("本作品はBY-NC-NDです", Reason.LICENSE_CONFLICT),
        ("There are no commercial use restrictions.", None),
        ("For commercial and non-commercial use", None),
        ("May be used commercially or non-commercially, not for sale", Reason.LICENSE_CONFLICT),
        ("Attribution 4.0. Derivatives: No. Comercial: Sí", None),
        ("Namensnennung-Nicht kommerziell-Keine Bearbeitungen", Reason.LICENSE_CONFLICT),
    ],
)
def test_notes_as_people_write_them(note: str, reason: Reason | None) -> None:
    decision = decide(said(BY4, note=note))
    assert (decision.reason if isinstance(decision, Rejected) else None) == reason


@pytest.mark.parametrize("family", ["by/4.0", "by-sa/3.0", "publicdomain"])
def test_open_families_pass(family: str) -> None:
    assert isinstance(decide(said(f"https://{CC}/licenses/{family}/")), Accepted)


@pytest.mark.parametrize(
    ("values", "note", "reason"),
    [
        ((), None, Reason.LICENSE_MISSING),
        ((None, "", [], ["  "]), None, Reason.LICENSE_MISSING),
        ((), "Public domain", Reason.LICENSE_MISSING),
        (("Public domain",), None, Reason.LICENSE_UNKNOWN),
        (({"url": BY4},), None, Reason.LICENSE_UNKNOWN),
        ((42,), None, Reason.LICENSE_UNKNOWN),
        (("https://opensource.org/licenses/MIT",), None, Reason.LICENSE_UNKNOWN),
        ((f"https://{CC}/licenses/sampling/1.0/",), None, Reason.LICENSE_UNKNOWN),
        ((f"https://{CC}/licenses/by-nc/4.0/",), None, Reason.LICENSE_NONCOMMERCIAL),
        ((f"https://{CC}/licenses/by-nc-nd/3.0/us/",), None, Reason.LICENSE_NONCOMMERCIAL),
        ((f"https://{CC}/licenses/by-nd/4.0/",), None, Reason.LICENSE_NO_DERIVATIVES),
        ((BY4, f"https://{CC}/licenses/by-nc/4.0/"), None, Reason.LICENSE_CONFLICT),
        (([BY4, f"https://{CC}/licenses/by/3.0/"],), None, Reason.LICENSE_CONFLICT),
        ((BY4, f"https://{CC}/licenses/by/4.0/?actually=by-nc"), None, Reason.LICENSE_CONFLICT),
        ((BY4, "ask me"), None, Reason.LICENSE_CONFLICT),
        ((BY4,), "All rights reserved.", Reason.LICENSE_CONFLICT),
        ((BY4,), "For NON-COMMERCIAL use", Reason.LICENSE_CONFLICT),
        ((BY4,), ["ok", f"See <a href='http://{CC}/licenses/by-nc/4.0/'>here</a>"], Reason.LICENSE_CONFLICT),
    ],
)
def test_rejections_have_their_reason(values: tuple[object, ...], note: object, reason: Reason) -> None:
    decision = decide(said(*values, note=note))
    assert isinstance(decision, Rejected)
    assert decision.reason == reason and decision.detail


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=30), st.just(BY4), st.integers(), st.lists(st.text(max_size=5), max_size=3)),
        max_size=4,
    )
)
def test_any_metadata_is_decided(values: list[object]) -> None:
    decision = decide(said(*values))
    assert isinstance(decision, Accepted | Rejected)
