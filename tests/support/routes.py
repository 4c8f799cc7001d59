"""Walk the routes of an application with the right that each one asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI

from groundglass.ui.access import Right, right_of


def rights(app: FastAPI) -> dict[tuple[str, str], list[Right]]:
    """Method and path of every route -> the rights among its dependencies, outer and inner ones."""
    return {
        (method, route.path): declared(route) for route in leaves(app.routes) for method in sorted(route.methods or ())
    }


def declared(route: Any) -> list[Right]:
    """Return the rights that a route asks; the description of the interface is the framework's own, for everybody."""
    if route.path == "/openapi.json":
        return [Right(frozenset())]
    return [found for call in calls(getattr(route, "dependant", None)) if (found := right_of(call)) is not None]


def leaves(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from leaves(route.effective_candidates())
        else:
            yield route


def calls(dependant: Any) -> Iterator[Any]:
    if dependant is None:
        return
    for inner in dependant.dependencies:
        yield inner.call
        yield from calls(inner)
