"""The built control room at ``/``: files of ``static``, with every other page address answered by its index."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

STATIC: Final = Path(__file__).with_name("static")

_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Cocket</title>
<h1>Cocket is running, and its control room is not built</h1>
<p>Build it with <code>make ui</code> in the source folder (it needs no Node of its own), or install the wheel, which carries
it. Then load this page again.
<p>The doors are open meanwhile: <a href="/api/docs">/api/docs</a> lists them.
</html>"""

_CAMERA: Final = "camera=(self), geolocation=(), microphone=()"
"""Pages read codes with the camera, in the browser; the API keeps all of it shut."""

mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/manifest+json", ".webmanifest")


def content_security_policy(tiles: str) -> str:
    """What the control room's page may load: itself, and the tiles' server if one is set."""
    outside = ""
    if tiles:
        parts = urlsplit(tiles.replace("{s}", "*"))
        outside = f" {parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else ""
    return (
        "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        f"img-src 'self' data: blob:{outside}; connect-src 'self'{outside}; font-src 'self'; "
        "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class ControlRoom:
    """The ASGI application behind every address that no route knows."""

    def __init__(self, tiles: str, root: Path = STATIC) -> None:
        self._root = root
        self._policy = content_security_policy(tiles)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file, the index, or a 404."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        response = self._answer(request)
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/api" or path.startswith("/api/"):
            raise HTTPException(404)
        name = path.strip("/")
        file = self._file(name)
        if file is None and _is_file_name(name):
            raise HTTPException(404)
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405)
        headers = {"content-security-policy": self._policy, "permissions-policy": _CAMERA}
        if file is not None and name.startswith("assets/"):
            return FileResponse(file, headers={"cache-control": "public, max-age=31536000, immutable"})
        index = self._root / "index.html"
        if file is None and not index.is_file():
            return HTMLResponse(_NOT_BUILT, headers=headers)
        return FileResponse(file or index, headers={**headers, "cache-control": "no-cache"})

    def _file(self, name: str) -> Path | None:
        """The file of that name inside the folder, and nothing outside it."""
        if not name or "\0" in name or "\\" in name:
            return None
        file = (self._root / name).resolve()
        return file if file.is_relative_to(self._root.resolve()) and file.is_file() else None


def _is_file_name(name: str) -> bool:
    """Whether an address that no file answers asked for one: below a page's folder a dot is part of a seal's or a document's name."""
    parts = name.split("/")
    return ".." in parts or ("." in name and (len(parts) == 1 or parts[0] == "assets"))
