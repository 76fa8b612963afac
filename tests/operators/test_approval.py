"""When a person is asked, and when not. What an answer does is tested on a running Airflow (tests/integration)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from operators.approval import ReleaseApproval


def ask(approval: str, dry_run: bool = False, needless: str = "False") -> Any:
    operator = ReleaseApproval(task_id="approve", subject="Publish?", needless=needless)
    context = {"params": {"approval": approval, "dry_run": dry_run}, "task_instance": SimpleNamespace(id="x")}
    return operator.execute(context)  # type: ignore[arg-type]


def test_auto_and_needless_ask_nobody() -> None:
    assert ask("auto")["chosen_options"] == ["Approve"]
    assert ask("required", needless="True")["chosen_options"] == ["Approve"]


def test_a_dry_run_stops_here_whatever_else_is_said() -> None:
    for approval in ("auto", "required"):
        with pytest.raises(AirflowSkipException, match="nothing is published"):
            ask(approval, dry_run=True, needless="True")


def test_required_waits_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **kwargs: asked.append(kwargs))
    with pytest.raises(TaskAwaitingInput):
        ask("required")
    assert asked[0]["options"] == ["Approve", "Reject"] and asked[0]["defaults"] == ["Reject"]
