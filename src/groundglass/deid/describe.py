"""A profile in words, made from the tables and the code that act: no sentence about an attribute is written by hand."""

from __future__ import annotations

from groundglass.deid import standard
from groundglass.deid.profile import OPTIONS, Profile
from groundglass.deid.standard import Rule

_DATES = {
    "rebase": ("recalée : jours décalés par patient, heure d'examen ramenée à midi, écarts gardés",
               "re-based: days moved per patient, study time becomes noon, differences kept"),
    "shift": ("décalée d'un nombre de jours par patient, heure gardée",
              "moved by a number of days per patient, time kept"),
    "week": ("ramenée au lundi de la semaine, sans heure", "becomes the Monday of its week, without time"),
    "year": ("ramenée au 1er janvier, sans heure", "becomes 1 January, without time"),
}  # fmt: skip
_ACTIONS = {
    "keep": ("gardé si la valeur est valide", "kept when the value is valid"),
    "term": ("gardé si le terme est connu", "kept when the term is known"),
    "words": ("mots connus gardés, autres retirés", "known words kept, others removed"),
    "uid": ("remplacé par un UID à clé", "replaced by a keyed UID"),
    "class": ("gardé si c'est une classe SOP de la norme", "kept when it is a SOP class of the standard"),
    "code": ("codes connus gardés, libellé réécrit", "known codes kept, meaning rewritten"),
    "items": ("reconstruit élément par élément", "rebuilt item by item"),
    "number": ("gardé jusqu'à 5 chiffres, sinon numéro à clé", "kept up to 5 digits, else a keyed number"),
    "text": ("remplacé par un texte fixe", "replaced by a fixed text"),
    "pseudonym": ("remplacé par le pseudonyme", "replaced by the pseudonym"),
    "empty": ("vidé", "emptied"),
    "sex": ("gardé si M, F ou O", "kept when M, F or O"),
    "charset": ("toujours ISO_IR 192", "always ISO_IR 192"),
    "statement": ("écrit par la dé-identification", "written by the de-identification"),
    "zone": ("gardé", "kept"),
    "serial": ("remplacé par un substitut à clé", "replaced by a keyed surrogate"),
}  # fmt: skip
_REMOVED = ("retiré", "removed")


def describe(profile: Profile, language: str) -> str:
    """One line per attribute that can survive, in `fr` or `en`; everything else is removed, and the text says so."""
    which = 0 if language == "fr" else 1
    options = [f"{code} {OPTIONS[code]}" for code in profile.options]
    lines = [
        f"{profile.id} {profile.version} (sha256 {profile.sha256})",
        (profile.summary_fr, profile.summary_en)[which],
        ("Options de PS3.15, annexe E : ", "PS3.15 Annex E options: ")[which]
        + ", ".join(["113100 Basic Application Confidentiality Profile", *options])
        + ".",
        ("Tout attribut qui n'est pas dans cette liste est retiré.",
         "Every attribute that is not in this list is removed.")[which],
        "",
    ]  # fmt: skip
    for rule in standard.ct_image().values():
        lines += _lines(rule, profile, which, "")
    return "\n".join(lines) + "\n"


def _lines(rule: Rule, profile: Profile, which: int, indent: str) -> list[str]:
    text = f"{indent}({rule.tag >> 16:04X},{rule.tag & 0xFFFF:04X}) {rule.keyword}: {words(rule, profile)[which]}"
    return [text, *(line for child in rule.children.values() for line in _lines(child, profile, which, indent + "  "))]


def words(rule: Rule, profile: Profile) -> tuple[str, str]:
    """What the profile does to one attribute, in French and English."""
    if rule.needs and rule.needs not in profile.keep:
        return _REMOVED
    if rule.action == "statement" and rule.keyword.startswith("ClinicalTrial") and not profile.trial:
        return _REMOVED
    if rule.action == "date":
        return _DATES[profile.dates]
    if rule.action == "accession":
        keyed = profile.accession == "keyed"
        return ("remplacé par un code à clé", "replaced by a keyed code") if keyed else _ACTIONS["empty"]
    if rule.action == "age":
        band = profile.age_band
        return (
            f"borne basse d'une tranche de {band} an(s), 090Y à partir de 90",
            f"lower bound of a band of {band} year(s), 090Y from 90",
        )
    return _ACTIONS[rule.action]
