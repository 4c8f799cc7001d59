"""Why an object is held back: one table for the command, the gateway and the registry.

Codes are lower case and stable; a message never carries a value. `who` is the one who can act.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["fr", "en"]
Who = Literal["sender", "reviewer", "operator", "nobody"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One code: what was seen, who can act and what to do next, in both languages."""

    code: str
    who: Who
    fr: str
    en: str
    fr_next: str
    en_next: str


_RESEND_FR, _RESEND_EN = "Renvoyer l'objet depuis le PACS.", "Send the object again from the PACS."
_LOOK_FR = "Une personne habilitée regarde l'image avant toute décision."
_LOOK_EN = "A trained person looks at the image before any decision."
_NATIVE_FR = "Renvoyer en explicit ou implicit VR little endian."
_NATIVE_EN = "Send it as explicit or implicit VR little endian."
_SOURCE_FR, _SOURCE_EN = "Corriger à la source, puis renvoyer.", "Correct it at the source, then send it again."
_RULE_FR = "Signaler la règle à corriger ; l'objet reste dans l'hôpital."
_RULE_EN = "Report the rule to be corrected; the object stays in the hospital."

REASONS: dict[str, Reason] = {
    reason.code: reason
    for reason in (
        Reason("unreadable", "sender", "Objet DICOM illisible.", "The DICOM object cannot be read.",
               _RESEND_FR, _RESEND_EN),
        Reason("not_dicom", "sender", "Ce n'est pas un fichier DICOM.", "This is not a DICOM file.",
               "Envoyer un fichier DICOM (partie 10).", "Send a DICOM (Part 10) file."),
        Reason("truncated", "sender", "Objet incomplet.", "The object is cut short.",
               _RESEND_FR, _RESEND_EN),
        Reason("unsupported_transfer_syntax", "sender", "Syntaxe de transfert non prise en charge.",
               "Transfer syntax not supported.", _NATIVE_FR, _NATIVE_EN),
        Reason("unsupported_codec", "sender", "Compression non prise en charge.", "Compression not supported.",
               _NATIVE_FR, _NATIVE_EN),
        Reason("stream_text", "sender", "Le flux compressé contient des segments ou octets autres que l'image.",
               "The compressed stream holds segments or bytes other than the image.", _NATIVE_FR, _NATIVE_EN),
        Reason("sop_class_unknown", "nobody", "Type d'objet non accepté (scanner CT seulement).",
               "Kind of object not accepted (CT images only).",
               "Ne pas envoyer ce type d'objet.", "Do not send this kind of object."),
        Reason("burned_in_text", "reviewer", "Du texte peut être incrusté dans l'image.",
               "Text may be burned into the image.", _LOOK_FR, _LOOK_EN),
        Reason("face", "reviewer", "Région de la tête : le visage peut être reconnu.",
               "Head region: the face may be recognised.",
               "Envoyer le thorax seul.", "Send the chest only."),
        Reason("placeholder_id", "sender", "L'identifiant du patient ne désigne personne.",
               "The patient identifier names nobody.", _SOURCE_FR, _SOURCE_EN),
        Reason("charset", "sender", "Jeu de caractères absent ou faux.", "Character set absent or false.",
               _SOURCE_FR, _SOURCE_EN),
        Reason("identity_residue", "operator", "Le vérificateur a trouvé un élément non permis.",
               "The verifier found an element that is not allowed.", _RULE_FR, _RULE_EN),
        Reason("seed_found", "operator", "Le vérificateur a retrouvé une valeur d'identité.",
               "The verifier found a value of the identity.", _RULE_FR, _RULE_EN),
        Reason("uid_conflict", "sender", "Même identifiant d'objet, contenu différent.",
               "Same object identifier, different content.", _SOURCE_FR, _SOURCE_EN),
        Reason("bad_uid", "sender", "Identifiant DICOM (UID) absent ou mal formé.",
               "A DICOM identifier (UID) is absent or malformed.", _SOURCE_FR, _SOURCE_EN),
        Reason("too_large", "sender", "Objet plus grand que la limite.", "The object is larger than the limit.",
               "Découper l'examen ou envoyer les images une à une.", "Split the exam or send single images."),
        Reason("wrong_subject", "sender", "Plusieurs patients dans un même examen.",
               "Several patients in one exam.", _SOURCE_FR, _SOURCE_EN),
        Reason("conformance", "sender", "Un attribut obligatoire manque ou n'est pas valide.",
               "A required attribute is missing or not valid.", _SOURCE_FR, _SOURCE_EN),
        Reason("invalid_package", "operator", "Le registre ne reconnaît pas la forme du paquet.",
               "The registry does not recognise the form of the package.", _RULE_FR, _RULE_EN),
        Reason("foreign_series", "operator", "Cette série appartient déjà à un autre centre.",
               "This series belongs to another centre already.",
               "Vérifier quel centre envoie cet examen.", "Check which centre sends this exam."),
        Reason("refused_by_registry", "operator", "Le registre a refusé la série pour une autre raison.",
               "The registry refused the series for another reason.",
               "Voir le reçu du registre.", "See the receipt of the registry."),
        Reason("duplicate", "nobody", "Déjà reçu, à l'identique.", "Already received, identical.",
               "Rien à faire.", "Nothing to do."),
    )
}  # fmt: skip


def message(code: str, language: str) -> str:
    """What was seen, in `fr` or `en`. LookupError for an unknown code."""
    reason = REASONS[code]
    return reason.fr if language == "fr" else reason.en


def next_step(code: str, language: str) -> str:
    """What to do about it, in `fr` or `en`. LookupError for an unknown code."""
    reason = REASONS[code]
    return reason.fr_next if language == "fr" else reason.en_next
