"""Where the bytes are kept: five verbs over a synced folder or an S3 bucket.

An object is whole or absent, never half written; once a put returns it survives a power cut. A put of a key that exists
replaces it in one step, so a repeat changes nothing. No key may also be the folder of another key.
"""

from __future__ import annotations

from groundglass.core.objects.opening import open_objects
from groundglass.core.objects.port import Objects, valid_key

__all__ = ["Objects", "open_objects", "valid_key"]
