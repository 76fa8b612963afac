"""The app: an overview, release cards, and files. Every route, a wrong one included, asks for a login first.

An app that is mounted in Airflow inherits none of its protection; the dependency on the app is what asks. FastAPI's own pages
(``/docs``, ``/openapi.json``) would not ask, and are off.
"""

from __future__ import annotations

import re
from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt

from operators.objects import mirror
from plugins.speechmill_pages import catalogue
from plugins.speechmill_pages.files import FILE_POLICY, MEDIA, PAGE_POLICY, find

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


def make_app(root_uri: str) -> FastAPI:
    """The pages of a storage root."""
    app = FastAPI(
        title="Speechmill",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
    )
    environment = Environment(loader=PackageLoader("plugins.speechmill_pages"), autoescape=True, undefined=StrictUndefined)
    environment.filters["duration"] = catalogue.duration

    def warehouse() -> Path:
        """The root's small files, as they are now."""
        return mirror(root_uri, ("releases", "batches", "quality"), MEDIA)

    def page(template: str, **values: object) -> HTMLResponse:
        headers = {**SAFE, "Content-Security-Policy": PAGE_POLICY}
        return HTMLResponse(environment.get_template(template).render(**values), headers=headers)

    def file(folder: Path, path: str) -> FileResponse:
        found = find(folder, path)
        if found is None:
            raise HTTPException(404, "There is no such file, or none that these pages show.")
        headers = {**SAFE, "Content-Security-Policy": FILE_POLICY}
        return FileResponse(found, media_type=MEDIA[found.suffix], headers=headers)

    @app.get("/")
    def overview() -> HTMLResponse:
        root = warehouse()
        lists = {"releases": catalogue.releases(root), "batches": catalogue.batches(root), "stopped": catalogue.stopped(root)}
        return page("overview.html.j2", root=root_uri, **lists)

    @app.get("/releases/{dataset}/{language}/{version}/")
    def card(dataset: str, language: str, version: str) -> HTMLResponse:
        place, root = f"{dataset}/{language}/{version}", warehouse()
        found = find(root / "releases", f"{place}/README.md")
        if found is None or find(root / "releases", f"{place}/release.json") is None:
            raise HTTPException(404, f"There is no release {place}.")
        markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        text = FRONT_MATTER.sub("", found.read_text(encoding="utf-8"))
        return page(
            "card.html.j2",
            place=place,
            body=markdown.render(text),
            gates=[g for g in catalogue.gates(root, place) if g.suite == "release"],
        )

    @app.get("/releases/{path:path}")
    def release_file(path: str) -> FileResponse:
        return file(warehouse() / "releases", path)

    @app.get("/quality/{path:path}")
    def quality_file(path: str) -> FileResponse:
        return file(warehouse() / "quality", path)

    @app.get("/{path:path}")
    def nothing(path: str) -> None:
        raise HTTPException(404, "There is no such page.")

    return app
