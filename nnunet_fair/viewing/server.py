"""A page on this machine that shows single cases, for whoever has its address, which holds a secret.

It answers on the loopback address only, to requests that name it as their host (a page of the internet whose name was
made to lead here does not), and it reads the files of the named cases and nothing else.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jinja2

from nnunet_fair import __version__
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import Contour, read_case_volumes
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.viewing.case_layers import CaseLayers, case_layers

FOLDER = Path(__file__).parent
LOOPBACK = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' data:; img-src data: blob:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NIIVUE = "niivue.js"
KEPT = 2  # cases in memory


@dataclass(frozen=True, repr=False)
class ViewedCase:
    """A case to show.

    Attributes:
        case_id: its ID.
        reference: its reference label image.
        contours: the predictions.
    """

    case_id: str
    reference: Path
    contours: tuple[Contour, ...]


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        content: the body.
        media_type: its type.
        packed: whether it is packed with gzip.
        status: of HTTP.
    """

    content: bytes
    media_type: str = "application/octet-stream"
    packed: bool = False
    status: int = 200


class CaseServer(ThreadingHTTPServer):
    """Serves the named cases.

    Args:
        cases: the cases.
        images: the images under the masks.
        scoring: how the masks are read.
        port: to answer on; 0 takes a free one.

    Attributes:
        address: the page's address, with its secret.
    """

    daemon_threads = True

    def __init__(
        self, cases: Sequence[ViewedCase], images: OverlayOptions, scoring: ScoringOptions, *, port: int = 0
    ) -> None:
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UserError(f"`port` {port} cannot be used ({error.strerror}); 0 takes a free one") from error
        self._cases, self._images, self._scoring = cases, images, scoring
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        self.address = f"http://{LOOPBACK}:{self.server_port}/{self.token}/"
        self._layers = functools.lru_cache(maxsize=KEPT)(self._read)

    def answer(self, path: str) -> Answer | None:
        """The answer to a path behind the secret; None where there is no such thing.

        Args:
            path: such as ``case/0/masks/1.nii``.
        """
        fixed: dict[str, Callable[[], Answer]] = {
            "": self._page,
            "view.js": lambda: Answer((FOLDER / "view.js").read_bytes(), "text/javascript; charset=utf-8"),
            NIIVUE: lambda: Answer((FOLDER / "niivue" / "niivue.umd.js.gz").read_bytes(), "text/javascript", True),
        }
        if path in fixed:
            return fixed[path]()
        files = {}
        for number, case in enumerate(self._cases):
            files[f"case/{number}.json"] = functools.partial(self._about, number)
            files[f"case/{number}/image.nii"] = functools.partial(self._image, number)
            for mask in range(1 + len(case.contours)):
                for kind in ("masks", "outlines"):
                    files[f"case/{number}/{kind}/{mask}.nii"] = functools.partial(self._mask, number, kind, mask)
        return files[path]() if path in files else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away while it is answered is no error."""

    def _read(self, number: int) -> CaseLayers:
        case = self._cases[number]
        return case_layers(read_case_volumes(case.case_id, case.reference, case.contours, self._images, self._scoring))

    def _page(self) -> Answer:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
        )
        page = environment.get_template("view.html").render(
            cases=[case.case_id for case in self._cases], version=__version__
        )
        return Answer(page.encode(), "text/html; charset=utf-8")

    def _about(self, number: int) -> Answer:
        case = self._cases[number]
        names = ["reference", *(contour.name for contour in case.contours)]
        about: dict[str, Any] = {"name": case.case_id, "masks": names}
        try:
            layers = self._layers(number)
            about |= {"crosshair": layers.crosshair, "has_image": layers.has_image}
        except UserError as problem:
            about["problem"] = str(problem)
        return Answer(json.dumps(about).encode(), "application/json")

    def _image(self, number: int) -> Answer:
        return Answer(self._layers(number).image)

    def _mask(self, number: int, kind: str, mask: int) -> Answer:
        layers = self._layers(number)
        return Answer((layers.masks if kind == "masks" else layers.outlines)[mask])


class _Handler(BaseHTTPRequestHandler):
    """Answers GET requests that know the secret."""

    server: CaseServer
    server_version, sys_version = "nnunet_fair", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answer, or refuse."""
        answer = self._answer()
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.content)),
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            **({"Content-Encoding": "gzip"} if answer.packed else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def _answer(self) -> Answer:
        if self.headers.get("Host") not in self.server.hosts:
            return Answer(b"another host is asked for\n", "text/plain", status=403)
        _, _, rest = self.path.partition("/")
        token, _, path = rest.partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            return Answer(b"the address lacks its secret\n", "text/plain", status=403)
        try:
            found = self.server.answer(path)
        except UserError as problem:
            return Answer(f"{problem}\n".encode(), "text/plain; charset=utf-8", status=422)
        return found or Answer(b"there is no such file\n", "text/plain", status=404)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the secret out of the terminal's log."""
