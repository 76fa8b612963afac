"""Pages inside Airflow: what was harvested and released, where every second went, cards, Data Docs. They never write.

Every Airflow process loads the plugins, and most of them serve no page: so the app, whose imports take seconds, is made at
the first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any

PREFIX = "/speechmill"
"""Where the API server mounts the app."""

Message = MutableMapping[str, Any]


class Pages:
    """An ASGI app that is made when it is first asked for something."""

    @cached_property
    def app(self) -> Any:
        """The FastAPI app of this installation's storage root."""
        from operators.settings import Settings
        from plugins.speechmill_pages.app import make_app

        return make_app(Settings.from_env().root)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Pass a request on."""
        await self.app(scope, receive, send)
