"""Walk the routes of an application with the right that each one asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI

from groundglass.ui.access import Right, right_of


def rights(app: FastAPI) -> dict[tuple[str, str], list[Right]]:
    """Method and path of every route -> the rights among its dependencies, outer and inner ones."""
    return {
        (method, route.path): [found for call in calls(route.dependant) if (found := right_of(call)) is not None]
        for route in leaves(app.routes)
        for method in sorted(route.methods or ())
    }


def leaves(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from leaves(route.effective_candidates())
        else:
            assert hasattr(route, "dependant"), f"{route} declares no right: it is no API route"
            yield route


def calls(dependant: Any) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from calls(inner)
