"""The page: one HTML file and what it names, from the package, under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
router = APIRouter()


@router.get("/", include_in_schema=False)
async def show_page() -> Response:
    """Return the page."""
    return FileResponse(FOLDER / "index.html", media_type="text/html", headers=HEADERS)


class PageFiles(StaticFiles):
    """The page's own files, below `/page`."""

    def __init__(self) -> None:
        """Serve the package's folder; no link is followed."""
        super().__init__(directory=FOLDER, follow_symlink=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, with the page's policy."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response
