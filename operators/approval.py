"""The last word before something is published: a person's, unless the run says that nobody needs to be asked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

ANSWER_WITHIN = timedelta(days=14)


class ReleaseApproval(ApprovalOperator):
    """Ask a person to approve; go on at once with ``approval=auto``; stop here with ``dry_run``.

    Nobody is asked either where ``needless`` is rendered as True: publishing will find that there is nothing to publish.
    Reads the run's parameters ``approval`` and ``dry_run``. No answer within ``ANSWER_WITHIN`` is a Reject, and a Reject skips
    all that follows: what comes after must keep the trigger rule ``all_success``.
    """

    template_fields: Collection[str] = ("subject", "body", "needless")

    def __init__(self, *, needless: str = "", **kwargs: Any) -> None:
        """Subject, body and ``needless`` are templated."""
        super().__init__(defaults=self.REJECT, response_timeout=ANSWER_WITHIN, ignore_downstream_trigger_rules=True, **kwargs)
        self.needless = needless

    def execute(self, context: Context) -> Any:
        """Ask, or not."""
        if context["params"]["dry_run"]:
            raise AirflowSkipException("dry run: everything is made, nothing is published")
        if context["params"]["approval"] == "auto" or self.needless == "True":
            self.log.info("Nobody is asked: %s.", "nothing is new" if self.needless == "True" else "approval=auto")
            return {"chosen_options": [self.APPROVE], "responded_by_user": None}
        return super().execute(context)
