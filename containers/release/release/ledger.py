"""Where every second went: the ledger of a batch from its stages', and of a release from its batches'.

Seconds are unpadded source seconds. Within a batch, what one stage let through is what the next one took in, to the rounding of
floats; the one place where seconds are restated is fetch, which replaces the duration that a source claims (or does not) by the
one that was decoded. ``in = kept + rejected`` therefore holds with ``in = rejected by discover + what came into fetch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagekit.errors import StageError
from stagekit.ledger import TOLERANCE_S, add_ledgers

CHAIN = ("ingest.discover", "ingest.fetch", "align.recognize", "align.align", "align.score")
"""Stages of a harvest, in order: each must account for all that the one before let through."""

WORDS_CHAIN = ("ingest.voices", "ingest.prepare", "words.align", "mfa.align")
"""The same of the spoken words; a batch has one of the two aligners."""
CHAINS = {"spoken_words": WORDS_CHAIN}
"""By dataset, where it is not `CHAIN`."""

RESTATED = ("ingest.fetch", "ingest.prepare")
"""Stages whose input seconds need not be the ones that the stage before claimed."""


def _seconds(value: float) -> float:
    return round(value, 6)


def batch_ledger(
    stages: Mapping[str, Sequence[Mapping[str, Any]]], chain: Sequence[str] = CHAIN
) -> dict[str, Any]:
    """Sum the ledgers of a batch's stages and check that nothing was lost between them.

    Args:
        stages: ``<image>.<stage>`` → the ledgers of its folders (:meth:`stagekit.ledger.Ledger.balance`).
        chain: the harvest's stages in order; of alternatives at its end one is there.

    Returns:
        ``{"stages": {stage: summed ledger}, "in": {"units", "seconds"}, "kept": {"seconds"}, "rejected": {reason: {"units",
        "seconds"}}, "restated_s"}``; units of ``in`` are items, ``restated_s`` is decoded minus claimed seconds.

    Raises:
        StageError: a stage does not balance, one is missing, or one took in other than what the one before it let through.
    """
    summed = {name: add_ledgers([dict(x) for x in stages[name]]) for name in chain if stages.get(name)}
    for name, ledger in summed.items():
        lost = sum(r["seconds"] for r in ledger["rejected"].values())
        units = sum(r["units"] for r in ledger["rejected"].values())
        off = ledger["in"]["seconds"] - ledger["out"]["seconds"] - lost
        if abs(off) > _tolerance(ledger) or ledger["in"]["units"] != ledger["out"]["units"] + units:
            raise StageError(
                f"{name}: {ledger['in']['units']} {ledger['unit']}s in, {ledger['out']['units']} out, {units} rejected; "
                f"{off:+.3f} s unaccounted"
            )
    restated, before = 0.0, None
    for name in chain:
        passed = summed[before]["out"] if before else None
        if name not in summed:
            if passed and passed["units"] and not _alternative(name, chain, summed):
                raise StageError(
                    f"{before} let {passed['units']} {summed[before]['unit']}s through, but the batch holds no {name}"
                )
            continue
        if passed is not None:
            mine = summed[name]["in"]
            off = mine["seconds"] - passed["seconds"]
            if name in RESTATED:
                restated = off
            elif abs(off) > _tolerance(summed[name]) + _tolerance(summed[before]):
                raise StageError(
                    f"{before} let {passed['seconds']:.3f} s through, {name} took in {mine['seconds']:.3f} s: "
                    "a shard is missing or twice there"
                )
            if summed[name]["unit"] == summed[before]["unit"] and mine["units"] != passed["units"]:
                raise StageError(
                    f"{before} let {passed['units']} {summed[name]['unit']}s through, {name} took in {mine['units']}"
                )
        before = name
    rejected: dict[str, dict[str, float]] = {}
    for ledger in summed.values():
        _add(rejected, ledger["rejected"])
    first = summed.get(chain[0]) or next(iter(summed.values()), None)
    kept = summed[before]["out"]["seconds"] if before else 0.0
    total = (first["in"]["seconds"] if first else 0.0) + restated
    lost = sum(r["seconds"] for r in rejected.values())
    if abs(total - kept - lost) > sum(map(_tolerance, summed.values())) + TOLERANCE_S:
        raise StageError(f"the batch does not add up: {total:.3f} s in, {kept:.3f} s kept, {lost:.3f} s rejected")
    return {
        "stages": summed,
        "in": {"units": first["in"]["units"] if first else 0, "seconds": _seconds(total)},
        "kept": {"seconds": _seconds(kept)},
        "rejected": dict(sorted(rejected.items())),
        "restated_s": _seconds(restated),
    }


def _alternative(name: str, chain: Sequence[str], summed: Mapping[str, Any]) -> bool:
    """Whether another stage of the same kind (``*.align`` of another image) stands in for this one."""
    kind = name.partition(".")[2]
    return any(other in summed for other in chain if other != name and other.partition(".")[2] == kind)


def _tolerance(ledger: Mapping[str, Any]) -> float:
    return TOLERANCE_S * max(1, ledger["in"]["units"])


def _add(into: dict[str, dict[str, Any]], rejected: Mapping[str, Mapping[str, Any]]) -> None:
    for reason, amount in rejected.items():
        have = into.setdefault(reason, {"units": 0, "seconds": 0.0})
        have["units"] += int(amount["units"])
        have["seconds"] = _seconds(have["seconds"] + amount["seconds"])


def release_ledger(
    batches: Mapping[str, Mapping[str, Any]], own: Sequence[Mapping[str, Any]], kept: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The ledger of a release: the sum of its batches' and its own rejections.

    Args:
        batches: batch key → its ledger (:func:`batch_ledger`).
        own: ledgers of the release's own stages that reject: collect, split.
        kept: ``<split> <subset>-<license group>`` → {"units": clips, "seconds"} of what is in the release.

    Returns:
        ``{"in", "kept", "rejected", "by_batch": {key: {"in", "kept"}}, "restated_s"}`` as in :func:`batch_ledger`, but ``kept``
        by part.

    Raises:
        StageError: input is not what was kept plus what was rejected.
    """
    rejected: dict[str, dict[str, Any]] = {}
    for batch in batches.values():
        _add(rejected, batch["rejected"])
    for ledger in own:
        _add(rejected, ledger["rejected"])
    total = sum(b["in"]["seconds"] for b in batches.values())
    out = sum(k["seconds"] for k in kept.values())
    lost = sum(r["seconds"] for r in rejected.values())
    # Rounding to 1 µs and the stages' own tolerance, a part in a million of the input.
    if abs(total - out - lost) > TOLERANCE_S * max(1, len(batches)) + 1e-6 * total:
        raise StageError(
            f"the release does not add up: {total:.3f} s in, {out:.3f} s kept, {lost:.3f} s rejected, "
            f"{total - out - lost:+.3f} s lost"
        )
    return {
        "in": {"units": sum(b["in"]["units"] for b in batches.values()), "seconds": _seconds(total)},
        "kept": {part: {"units": k["units"], "seconds": _seconds(k["seconds"])} for part, k in sorted(kept.items())},
        "rejected": dict(sorted(rejected.items())),
        "by_batch": {key: {"in": b["in"], "kept": b["kept"]} for key, b in sorted(batches.items())},
        "restated_s": _seconds(sum(b["restated_s"] for b in batches.values())),
    }
