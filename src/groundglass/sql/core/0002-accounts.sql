-- Who may enter. Each zone has its own in its own database: no account, token or session opens both.

CREATE TABLE centre (
    code text PRIMARY KEY CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Which centre a calling AE title belongs to, where the settings do not say.
CREATE TABLE ae_title (
    aet text PRIMARY KEY CHECK (octet_length(aet) BETWEEN 1 AND 16),
    centre text NOT NULL REFERENCES centre,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9 _.@-]{0,63}$'),
    role text NOT NULL CHECK (role IN
        ('contributor', 'gateway', 'curator', 'researcher', 'committee', 'custodian', 'auditor', 'admin')),
    centre text REFERENCES centre,
    password_hash text, -- argon2id; null: enters by token only
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

CREATE TABLE token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32), -- SHA-256 of 256 random bits
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    last_used_at timestamptz, -- to the minute
    revoked_at timestamptz
);

CREATE INDEX token_of_account ON token (account_id);

CREATE TABLE session (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    account_id bigint NOT NULL REFERENCES account,
    token_id bigint REFERENCES token, -- opened with a token: ends with it
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(), -- to half a minute
    idle interval NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX session_of_account ON session (account_id);
CREATE INDEX session_expiry ON session (expires_at);

-- Tries to sign in, for throttling; names and addresses only as hashes. `known`: the address has succeeded before for
-- this account, so a stranger's guesses do not lock its owner out.
CREATE TABLE sign_in_try (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    account_key bytea NOT NULL,
    address_key bytea NOT NULL,
    known boolean NOT NULL,
    succeeded boolean NOT NULL DEFAULT false
);

CREATE INDEX sign_in_try_account ON sign_in_try (account_key, at);
CREATE INDEX sign_in_try_address ON sign_in_try (address_key, at);
