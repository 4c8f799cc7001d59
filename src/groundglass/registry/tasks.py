"""What the registry's workers can do."""

from __future__ import annotations

from groundglass.registry import archive, inbox, sweep

HANDLERS = {
    inbox.ARCHIVE: archive.archive,
    archive.TIDY: sweep.tidy,
}
SWEEPERS = [sweep.requeue]
