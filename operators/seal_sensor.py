"""Waiting for a month's seal without holding a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from operators import objects

if TYPE_CHECKING:
    from airflow.sdk import Context


class SealTrigger(BaseTrigger):
    """Fires once an object is there; looks every ``poll_s`` seconds."""

    def __init__(self, uri: str, poll_s: float) -> None:
        """Wait for ``uri``."""
        super().__init__()
        self.uri = uri
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """For the triggerer."""
        return "operators.seal_sensor.SealTrigger", {"uri": self.uri, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it is there.

        It waits before the first look: the scheduler takes a task that resumes before its deferral was seen for one that failed.
        """
        await asyncio.sleep(self.poll_s)
        while not await asyncio.to_thread(objects.exists, self.uri):
            await asyncio.sleep(self.poll_s)
        yield TriggerEvent(self.uri)


class SealSensor(BaseSensorOperator):
    """Wait, deferred, until the seal of a batch is there; returns its URI.

    Args:
        seal: URI of ``batch.json``; empty: there is nothing to wait for. Templated.
        poll_s: seconds between two looks.
        timeout: after this the task fails: a month whose harvest was never sealed needs a person.
    """

    template_fields: Sequence[str] = ("seal",)

    def __init__(self, *, seal: str, poll_s: float = 10.0, timeout: timedelta = timedelta(days=14), **kwargs: Any) -> None:
        """See the class."""
        super().__init__(poke_interval=poll_s, timeout=timeout, **kwargs)
        self.seal = seal
        self.poll_s = poll_s

    def execute(self, context: Context) -> str | None:
        """Go on at once if the seal is there, else defer."""
        if not self.seal:
            self.log.info("This version is made by hand from the batches that are sealed: nothing to wait for.")
            return None
        if objects.exists(self.seal):
            return self.seal
        self.log.info("Waiting for %s: the harvest of that month has not been sealed.", self.seal)
        self.defer(trigger=SealTrigger(self.seal, self.poll_s), method_name="sealed", timeout=timedelta(seconds=self.timeout))

    def sealed(self, context: Context, event: str) -> str:
        """The seal is there."""
        if not objects.exists(event):
            raise AirflowException(f"{event} was there and is gone")
        return event
