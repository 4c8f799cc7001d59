"""Who may enter a zone: accounts, their passwords, tokens and sessions; centres and their AE titles.

Everything here is bound to one zone by its database. What changes anything records an audit event in the same
transaction, last, and leaves the commit to the caller; `sign_in` alone commits by itself.
"""

from __future__ import annotations

from groundglass.core.accounts.centres import assign_aet, centre_of_aet, ensure_centre, is_aet
from groundglass.core.accounts.people import (
    Account,
    Role,
    change_role,
    create_account,
    disable_account,
    ensure_admin,
    set_password,
)
from groundglass.core.accounts.sessions import by_session, session_for_token, sign_in, sign_out
from groundglass.core.accounts.tokens import by_token, issue_token, revoke_token

__all__ = [
    "Account",
    "Role",
    "assign_aet",
    "by_session",
    "by_token",
    "centre_of_aet",
    "change_role",
    "create_account",
    "disable_account",
    "ensure_admin",
    "ensure_centre",
    "is_aet",
    "issue_token",
    "revoke_token",
    "session_for_token",
    "set_password",
    "sign_in",
    "sign_out",
]
