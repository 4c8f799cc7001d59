"""The tokens of reference/look.md: text keeps 4.5:1 on every ground it stands on, marks 3:1, in both themes."""

from __future__ import annotations

import re

import pytest

from support.texts import SOURCE

TEXT = ("ink", "ink-soft", "accent", "ok", "warn", "stop")
GROUNDS = ("paper", "row")
PAIRS = [
    *((text, ground) for text in TEXT for ground in GROUNDS),
    ("accent-ink", "accent"),
    ("ink", "accent-wash"),
    *(pair for name in ("ok", "warn", "stop") for pair in ((name, f"{name}-wash"), ("ink", f"{name}-wash"))),
    ("paper", "stop"),  # the banner
]


def themes() -> dict[str, dict[str, str]]:
    source = (SOURCE / "ui" / "static" / "tokens.css").read_text(encoding="utf-8")
    light, dark = source.split("@media (prefers-color-scheme: dark)")
    read = {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part))
        for name, part in (("light", light), ("dark", dark))
    }
    return {"light": read["light"], "dark": {**read["light"], **read["dark"]}}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str) -> None:
    tokens = themes()[theme]
    weak = {pair: round(contrast(*(tokens[name] for name in pair)), 2) for pair in PAIRS}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
    marks = {name: contrast(tokens[name], tokens["paper"]) for name in ("field-edge", "accent")}
    assert {name: ratio for name, ratio in marks.items() if ratio < 3} == {}


def test_no_other_sheet_names_a_colour() -> None:
    for name in ("layout.css", "components.css"):
        sheet = (SOURCE / "ui" / "static" / name).read_text(encoding="utf-8")
        screen = re.sub(r"@media print \{.*", "", sheet, flags=re.DOTALL)
        assert re.findall(r"#[0-9a-f]{3,8}\b|rgb\(|hsl\(", screen) == [], name
