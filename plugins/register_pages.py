"""Registers Speechmill's pages in Airflow: the app under ``/speechmill``, and its entry in the navigation."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from plugins.speechmill_pages import PREFIX, Pages


class SpeechmillPages(AirflowPlugin):
    """Releases, batches, cards and Data Docs, for everyone who may see plugins."""

    name = "speechmill_pages"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "Speechmill"}]
    external_views = [
        {"name": "Speechmill", "href": f"{PREFIX}/", "destination": "nav", "category": "browse", "url_route": "speechmill"}
    ]
