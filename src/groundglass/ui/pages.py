"""Pages: Jinja templates in the reader's language, with the numbers, links and rail that every page has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from groundglass.core.accounts import Account, Role
from groundglass.ui import assets, formats, language, reasons, translations
from groundglass.ui.access import is_secure
from groundglass.ui.language import LANGUAGES, Language, language_of
from groundglass.ui.translations import Catalogue, _

_TEMPLATES: Final = Path(__file__).with_name("templates")
_ROLES: Final[dict[Role, str]] = {
    "contributor": _("contributeur"),
    "gateway": _("passerelle"),
    "curator": _("gestionnaire des données"),
    "researcher": _("chercheur"),
    "committee": _("comité"),
    "custodian": _("dépositaire"),
    "auditor": _("auditeur"),
    "admin": _("administrateur"),
}
_SHOWN: Final = ("number", "percent", "size", "day", "short_day", "moment", "short_moment")
_YEAR_SECONDS: Final = 365 * 86400


@dataclass(frozen=True, slots=True)
class Section:
    """One line of the rail: a page, its French label, and the roles that see it."""

    path: str
    label: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """What makes the pages of one zone: its name in words, its templates, its English, and its sections."""

    zone: str
    label: str
    templates: Path
    english: Path
    sections: tuple[Section, ...]
    # Warnings that stand on every page of this process (French source texts), as a door in clear.
    banners: tuple[str, ...] = field(default=())


class Pages:
    """The pages of one site. One for each application, as `app.state.pages`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.catalogue = Catalogue.load([translations.OWN, site.english])
        self.environment = environment(site.templates)

    def render(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Make the answer. What the context holds is escaped where it is written."""
        chosen = language_of(request)
        account = getattr(request.state, "account", None)
        shown = {
            **self._words(chosen),
            **self._place(request, chosen, account),
            "account": account,
            "role_words": _ROLES,
            "asset": assets.address,
            "nonce": getattr(request.state, "nonce", ""),
            **context,
        }
        page = HTMLResponse(
            self.environment.get_template(template).render(shown),
            status,
            headers={"Content-Language": chosen, "Vary": "Accept, Accept-Language, Cookie, Authorization"},
        )
        if request.query_params.get("lang") in LANGUAGES:
            page.set_cookie(
                language.COOKIE, chosen, max_age=_YEAR_SECONDS, httponly=True, samesite="lax", secure=is_secure(request)
            )
        return page

    def _words(self, chosen: Language) -> dict[str, Callable[..., str]]:
        def plural(one: str, many: str, n: int, **values: object) -> str:
            return self.catalogue.plural(one, many, n, chosen, **values)

        def text(message: str, **values: object) -> str:
            return self.catalogue.text(message, chosen, **values)

        return {
            "_": text,
            "_n": plural,
            "reason": partial(reasons.text, language=chosen),
            "next_step": partial(reasons.next_step, language=chosen),
            **{name: _in(getattr(formats, name), chosen) for name in _SHOWN},
            "since": lambda at: formats.span(datetime.now(UTC) - at, chosen),
        }

    def _place(self, request: Request, chosen: Language, account: Account | None) -> dict[str, Any]:
        path = request.url.path
        return {
            "language": chosen,
            "site": self.site,
            "path": path,
            "sections": [s for s in self.site.sections if account is not None and account.role in s.roles],
            "in_language": {other: _with_language(request, other) for other in LANGUAGES},
        }


def environment(*folders: Path) -> jinja2.Environment:
    """Return the templates of a zone, then the shared ones. An undefined name is an error, everything is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a page of the application that the request came to."""
    pages: Pages = request.app.state.pages
    return pages.render(request, template, status=status, **context)


def _in(function: Callable[..., str], chosen: Language) -> Callable[..., str]:
    return lambda value, **options: function(value, chosen, **options)


def _with_language(request: Request, chosen: Language) -> str:
    """Return this page's own address in the other language, with the rest of its query."""
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return f"{request.url.path}?{urlencode([*rest, ('lang', chosen)])}"
