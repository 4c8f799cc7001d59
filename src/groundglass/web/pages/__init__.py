"""The registry's pages. `create_app` calls `install(app)` and nothing else of them."""

from __future__ import annotations

from groundglass.web.pages.site import install

__all__ = ["install"]
