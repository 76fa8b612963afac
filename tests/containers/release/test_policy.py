"""Policies: the shipped one is valid, a wrong one says where, and a bound includes its lower end only."""

from pathlib import Path
from typing import Any

import pytest
import speech_rows as rows
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from release.policy import Bound, dump_policy, parse_policy
from release.words.admission import WordsPolicy
from stagekit.errors import StageError

POLICIES = Path(__file__).parents[3] / "config" / "policies"
SHIPPED = sorted(p for p in POLICIES.glob("*.yaml") if p.stem != "spoken_words")


def segment(**given: Any) -> dict[str, Any]:
    return rows.segment("d", "r", 0, 5, **given)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_policy_is_valid_and_survives_a_round_trip(path: Path):
    policy = parse_policy(path.read_text(), str(path))
    assert parse_policy(dump_policy(policy), "again") == policy
    assert dump_policy(parse_policy(dump_policy(policy), "again")) == dump_policy(policy)


def test_the_shipped_policy_of_the_spoken_words_is_valid_and_bounds_a_score_that_there_is():
    policy = WordsPolicy.model_validate(yaml.safe_load((POLICIES / "spoken_words.yaml").read_text()))
    assert policy.require["outlier"].max and policy.name == "spoken_words"
    with pytest.raises(ValidationError, match="no score cer"):
        WordsPolicy.model_validate({"require": {"cer": {"max": 1.0}}})


@pytest.mark.parametrize(
    ("cer", "subset"),
    [(0.0, "clean"), (0.1999, "clean"), (0.20, "noisy"), (0.3799, "noisy"), (0.38, None), (1.2, None), (None, None)],
)
def test_the_people_s_speech_cuts_at_20_and_38_percent(cer: float | None, subset: str | None):
    policy = parse_policy((SHIPPED[0].parent / "peoples_speech.yaml").read_text(), "policy")
    found, why = policy.judge(segment(cer=cer))
    assert found == subset
    assert bool(why) == (subset is None)


@pytest.mark.parametrize(("family", "group"), [("by", "by"), ("pd", "by"), ("cc0", "by"), ("us-gov", "by"), ("by-sa", "by-sa")])
def test_license_groups(family: str, group: str):
    assert parse_policy(SHIPPED[0].read_text(), "policy").license_group(family) == group


def test_the_rule_that_failed_is_named():
    text = SHIPPED[0].read_text().replace("alignment_score: {min: null}", "alignment_score: {min: -2.5}")
    policy = parse_policy(text, "policy")
    assert policy.judge(segment(alignment_score=-3.25)) == (None, "alignment_score -3.25 is below -2.5")
    assert policy.judge(segment(duration_s=20.0)) == (None, "duration_s 20 is not below 16")
    assert policy.judge(segment(cer=0.5)) == (None, "clean: cer 0.5 is not below 0.2; noisy: cer 0.5 is not below 0.38")


def test_a_missing_score_fails_unless_the_policy_says_otherwise():
    assert Bound(min=0).fails("snr_db", None) == "snr_db is missing"
    assert Bound(min=0, null_passes=True).fails("snr_db", None) is None
    assert Bound().fails("snr_db", None) is None


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5))
def test_a_bound_is_half_open(low: float, high: float, value: float):
    assert (Bound(min=low, max=high).fails("x", value) is None) == (low <= value < high)


def test_not_a_number_fails_every_bound():
    assert Bound(min=0).fails("x", float("nan")) and Bound(max=0).fails("x", float("nan"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cer: {max: 0.20}", "cera: {max: 0.20}"), "subsets: Value error, no score .'cera'."),
        (("dev: 0.05", "dev: 0.99"), "nothing for train"),
        (("by-sa: [by-sa]", "by-sa: [by-sa, by]"), "stands in two groups"),
        (("by-sa: [by-sa]", "nc: [by-nc]"), "license_groups.nc.0"),
        (("takedowns: []", "takedown: []"), "takedown: Extra inputs"),
        (("takedowns: []", "takedowns: ["), "not YAML"),
        (("takedowns: []", "takedowns: [lj001-printing]"), r"takedowns: .*'lj001-printing' can name nothing; write '<source>"),
        (("takedowns: []", "takedowns: ['https://archive.org/details/talk']"), "can name nothing"),
        (("takedowns: []", f"takedowns: [{'AB' * 32}]"), "can name nothing"),
        (("takedowns: []", "takedowns: ['folder: ']"), "can name nothing"),
    ],
)
def test_a_wrong_policy_says_where(change: tuple[str, str], message: str):
    text = SHIPPED[0].read_text()
    assert change[0] in text
    with pytest.raises(StageError, match=message):
        parse_policy(text.replace(*change), "policy.yaml")


def test_the_takedowns_that_the_runbook_shows_are_ones():
    """Its example is what a person copies."""
    block = (SHIPPED[0].parents[2] / "docs/runbook.md").read_text().split("```yaml\ntakedowns:")[1].split("```")[0]
    policy = parse_policy(SHIPPED[0].read_text().replace("takedowns: []", f"takedowns:{block}"), "runbook.md")
    assert [t.partition(":")[0] for t in policy.takedowns[:2]] == ["folder", "internet_archive"]
    assert len(policy.takedowns[2]) == 64
