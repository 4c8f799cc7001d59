"""Which of the two languages a request is answered in."""

from __future__ import annotations

from typing import Final, Literal, get_args

from starlette.requests import Request

Language = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
COOKIE: Final = "langue"


def language_of(request: Request) -> Language:
    """Return the language asked by `?lang=`, else by the cookie, else by Accept-Language, else French."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        for language in LANGUAGES:
            if wish == language:
                return language
    return _preferred(request.headers.get("accept-language", ""))


def _preferred(header: str) -> Language:
    """Pick by RFC 9110 12.5.4: the highest weight, the first of equals; a malformed weight counts as refused."""
    best: Language = "fr"
    best_weight = 0.0
    for part in header[:1000].split(","):
        tag, _, rest = part.partition(";")
        prefix = tag.strip().lower().partition("-")[0]
        weight = _weight(rest)
        for language in LANGUAGES:
            if prefix == language and weight > best_weight:
                best, best_weight = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
