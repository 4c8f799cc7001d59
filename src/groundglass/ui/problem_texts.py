"""The kinds of problem: the stable end of the `type`, its title and what to do, in French (the source language)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from groundglass.ui.translations import _


@dataclass(frozen=True, slots=True)
class Kind:
    """One page below /problems/. `status` is the HTTP status that usually comes with it."""

    slug: str
    status: int
    title: str
    advice: str


_ALL: Final = (
    Kind(
        "usage",
        400,
        _("La demande n'est pas comprise"),
        _("Un paramètre manque ou n'a pas la forme attendue. Corrigez la demande, puis renvoyez-la."),
    ),
    Kind(
        "unsafe-start",
        400,
        _("Le démarrage est refusé"),
        _("Une porte resterait ouverte sans protection. Réglez le chiffrement ou la liste des pairs."),
    ),
    Kind(
        "not-signed-in",
        401,
        _("Vous n'êtes pas connecté"),
        _("Connectez-vous, ou présentez un jeton valable. Une session prend fin après un temps sans activité."),
    ),
    Kind(
        "not-allowed",
        403,
        _("Vous n'avez pas accès à ceci"),
        _("Votre rôle ou votre centre ne le permet pas. Adressez-vous à l'administrateur si vous en avez besoin."),
    ),
    Kind(
        "not-found",
        404,
        _("Rien à cette adresse"),
        _("L'adresse est inexacte, ou l'objet n'existe pas pour votre compte. Repartez de l'accueil."),
    ),
    Kind(
        "method-not-allowed",
        405,
        _("Cette adresse n'accepte pas cette opération"),
        _("L'en-tête Allow de la réponse dit ce qu'elle accepte."),
    ),
    Kind(
        "not-acceptable",
        406,
        _("Aucun des formats demandés n'est proposé"),
        _("Demandez un autre format dans l'en-tête Accept."),
    ),
    Kind(
        "conflict",
        409,
        _("L'état actuel ne le permet pas"),
        _("L'objet a changé, ou l'opération a déjà eu lieu. Relisez son état avant de recommencer."),
    ),
    Kind(
        "too-large",
        413,
        _("L'envoi est trop volumineux"),
        _("Il dépasse la limite de taille ou de nombre. Divisez-le, puis recommencez."),
    ),
    Kind(
        "unsupported-media-type",
        415,
        _("Ce format n'est pas reçu ici"),
        _("L'en-tête Content-Type doit nommer l'un des formats reçus à cette adresse."),
    ),
    Kind(
        "range-not-satisfiable",
        416,
        _("La partie demandée est hors de l'objet"),
        _("Demandez des octets qui existent : l'en-tête Content-Range en donne le nombre."),
    ),
    Kind(
        "unprocessable",
        422,
        _("L'envoi ne passe pas un contrôle"),
        _("Il est lisible, mais une valeur n'est pas admise. Corrigez ce qui est indiqué, puis renvoyez-le."),
    ),
    Kind(
        "too-many-requests",
        429,
        _("Trop de demandes en peu de temps"),
        _("Attendez la durée indiquée par l'en-tête Retry-After, puis recommencez."),
    ),
    Kind(
        "internal",
        500,
        _("Le service a rencontré une erreur"),
        _("Elle est enregistrée. Vos données déjà reçues sont conservées. Recommencez plus tard."),
    ),
    Kind(
        "unavailable",
        503,
        _("Le service ne répond pas pour le moment"),
        _("La même demande peut réussir dans quelques instants."),
    ),
    Kind(
        "folder-in-use",
        503,
        _("Le dossier de données est déjà utilisé"),
        _("Une autre instance est en marche sur ce dossier. Arrêtez-la d'abord."),
    ),
    Kind(
        "no-room",
        507,
        _("Il n'y a plus de place sur le disque"),
        _("L'administrateur doit libérer de la place. Rien de ce qui a été confirmé n'est perdu."),
    ),
)
KINDS: Final[dict[str, Kind]] = {kind.slug: kind for kind in _ALL}
# The first of each status: HTTP errors that the framework raises carry a status only.
BY_STATUS: Final[dict[int, Kind]] = {kind.status: kind for kind in reversed(_ALL)} | {
    503: KINDS["unavailable"],
    400: KINDS["usage"],
}


def kind_of(slug: str, status: int) -> Kind:
    """Return the kind of a slug, else of a status, else of its class of status."""
    fallback = KINDS["usage"] if 400 <= status < 500 else KINDS["internal"]
    return KINDS.get(slug) or BY_STATUS.get(status, fallback)
