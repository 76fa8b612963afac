"""The count of what came in, what went out and what stopped, in units and in unpadded source seconds.

A stage says what came in (:meth:`Ledger.enter`), what went on (:meth:`Ledger.keep`) and what stopped (:meth:`Ledger.reject`),
each charged to one input unit. :meth:`Ledger.balance` refuses a stage that lost or invented any of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagekit.errors import StageError

TOLERANCE_S = 0.002
"""Seconds a unit's account may be off: sums of float seconds rounded to samples of 62.5 µs, not an allowance for loss."""


@dataclass
class _Account:
    seconds_in: float = 0.0
    kept: bool = False
    seconds_kept: float = 0.0
    rejected: dict[str, float] = field(default_factory=dict)


class Ledger:
    """Accounts of one stage run, one for each input unit."""

    def __init__(self, unit: str):
        """An empty ledger that counts ``unit`` (such as ``recording``)."""
        self.unit = unit
        self._accounts: dict[str, _Account] = {}

    def enter(self, unit_id: str, seconds: float) -> None:
        """An input unit came in, with its source seconds (0 if unknown).

        Raises:
            StageError: the same unit came in twice.
        """
        if unit_id in self._accounts:
            raise StageError(f"ledger: {self.unit} {unit_id} came in twice")
        self._accounts[unit_id] = _Account(seconds_in=float(seconds))

    def keep(self, unit_id: str, seconds: float) -> None:
        """So many seconds of the unit went on; may be called several times, and with 0 for a unit without a duration."""
        account = self._account(unit_id)
        account.kept = True
        account.seconds_kept += float(seconds)

    def reject(self, unit_id: str, reason: str, seconds: float) -> None:
        """So many seconds of the unit stopped here for a reason."""
        account = self._account(unit_id)
        account.rejected[reason] = account.rejected.get(reason, 0.0) + float(seconds)

    def _account(self, unit_id: str) -> _Account:
        try:
            return self._accounts[unit_id]
        except KeyError:
            raise StageError(f"ledger: {self.unit} {unit_id} was never counted in") from None

    def balance(self) -> dict[str, Any]:
        """Check every account and sum them up.

        A unit counts as out if any of it was kept; else as rejected, under the reason that took most of its seconds.

        Returns:
            ``{"unit", "in": {"units", "seconds"}, "out": {…}, "rejected": {reason: {"units", "seconds"}}}``, seconds rounded
            to 1 µs.

        Raises:
            StageError: a unit is neither out nor rejected, or its seconds do not add up.
        """
        totals = {"in": [0, 0.0], "out": [0, 0.0]}
        rejected: dict[str, list[float]] = {}
        for unit_id, account in self._accounts.items():
            lost = sum(account.rejected.values())
            if not account.kept and not account.rejected:
                raise StageError(f"ledger: {self.unit} {unit_id} was lost: neither kept nor rejected")
            off = account.seconds_in - account.seconds_kept - lost
            if abs(off) > TOLERANCE_S:
                raise StageError(
                    f"ledger: {self.unit} {unit_id} does not add up: {account.seconds_in:.4f} s in, "
                    f"{account.seconds_kept:.4f} s kept, {lost:.4f} s rejected, {off:+.4f} s unaccounted"
                )
            totals["in"][0] += 1
            totals["in"][1] += account.seconds_in
            totals["out"][1] += account.seconds_kept
            if account.kept:
                totals["out"][0] += 1
            for reason, seconds in account.rejected.items():
                rejected.setdefault(reason, [0, 0.0])[1] += seconds
            if not account.kept:
                rejected[max(account.rejected, key=lambda r: (account.rejected[r], r))][0] += 1
        return {
            "unit": self.unit,
            **{k: {"units": v[0], "seconds": round(v[1], 6)} for k, v in totals.items()},
            "rejected": {r: {"units": int(v[0]), "seconds": round(v[1], 6)} for r, v in sorted(rejected.items())},
        }


def add_ledgers(ledgers: list[dict[str, Any]]) -> dict[str, Any]:
    """The sum of ledgers of the same stage and unit over shards.

    Raises:
        StageError: the units differ, or there is none.
    """
    if not ledgers:
        raise StageError("ledger: nothing to add")
    if len({ledger["unit"] for ledger in ledgers}) != 1:
        raise StageError(f"ledger: cannot add {sorted({ledger['unit'] for ledger in ledgers})}")
    total: dict[str, Any] = {"unit": ledgers[0]["unit"], "rejected": {}}
    total |= {side: {"units": 0, "seconds": 0.0} for side in ("in", "out")}
    for ledger in ledgers:
        for side in ("in", "out"):
            for what in ("units", "seconds"):
                total[side][what] = round(total[side][what] + ledger[side][what], 6)
        for reason, amount in ledger["rejected"].items():
            into = total["rejected"].setdefault(reason, {"units": 0, "seconds": 0.0})
            for what in ("units", "seconds"):
                into[what] = round(into[what] + amount[what], 6)
    total["rejected"] = dict(sorted(total["rejected"].items()))
    return total
