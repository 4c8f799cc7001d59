"""Who works at the desk, and which part of it they see."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from groundglass.core.accounts import Account
from groundglass.ui.access import signed_in

_staff = signed_in("contributor", "admin")
Staff = Annotated[Account, Depends(_staff)]


def centre_of(account: Account) -> str | None:
    """Return the centre that the account's view is bound to, None for all that this gateway serves.

    An account without a centre belongs to the hospital that runs the gateway: it sees every centre that sends to it.
    """
    return account.centre if account.role == "contributor" else None
