"""Sequences: every item made anew from what its own keep list allows; codes with our own meanings."""

from __future__ import annotations

from collections.abc import Callable

from groundglass.deid import nesting
from groundglass.deid.elements import code_item, element, sequence
from groundglass.deid.standard import Rule, code_meanings

Value = Callable[[Rule, bytes, bytes], "tuple[str, bytes] | None"]
"""(rule, VR as read, value) -> (VR to write, value to write), or None to remove it."""


def rebuild(rule: Rule, value: bytes, implicit: bool, simple: Value) -> bytes | None:
    """The whole element `rule.tag`, or None when no item survives. encoding's errors for malformed values."""
    rebuilt = []
    for item in nesting.items(value, implicit):
        content = _code(item) if rule.action == "code" else _item(rule, item, simple)
        if content:
            rebuilt.append(content)
    return sequence(rule.tag, rebuilt) if rebuilt else None


def _item(rule: Rule, item: list[tuple[int, bytes, bytes, bool]], simple: Value) -> bytes:
    """One item; empty when an attribute that it must have (type 1) does not survive."""
    found: dict[int, bytes] = {}
    for tag, vr, value, implicit in item:
        child = rule.children.get(tag)
        if child is None:
            continue
        found.pop(tag, None)
        if child.vr == "SQ":
            nested = rebuild(child, value, implicit, simple)
            if nested is not None:
                found[tag] = nested
        else:
            written = simple(child, vr, value)
            if written is not None and (written[1] or child.type != "1"):
                found[tag] = element(tag, *written)
    if any(child.type == "1" and tag not in found for tag, child in rule.children.items()):
        return b""
    return b"".join(found[tag] for tag in sorted(found))


def _code(item: list[tuple[int, bytes, bytes, bool]]) -> bytes:
    """A coded item of a known scheme; what we have no meaning for goes, it may be anybody's local code."""
    values = {tag: value for tag, _, value, _ in item}
    scheme = values.get(0x00080102, b"").decode("ascii", "replace").strip(" \0")
    value = values.get(0x00080100, b"").decode("ascii", "replace").strip(" \0")
    meaning = code_meanings().get((scheme, value))
    return b"" if meaning is None else code_item(scheme, value, meaning)
