-- The gateway's intake: what the spool holds, by series, and what became of it. Instances live in arrays.

-- A spool segment whose first `registered` bytes are in `intake_part`.
CREATE TABLE segment (
    id         bigint PRIMARY KEY,
    registered bigint NOT NULL DEFAULT 0 CHECK (registered >= 0),
    removed_at timestamptz
);

-- One settled group of instances of one series: the unit of work.
CREATE TABLE intake (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_token   bytea NOT NULL,           -- HMAC of the original UID: an identity of work, not of a person
    collection     text NOT NULL,
    centre         text NOT NULL,
    -- settled: a job will read it; packed: its package waits in the outbox; done: nothing of it is left to do
    state          text NOT NULL DEFAULT 'settled' CHECK (state IN ('settled', 'packed', 'done')),
    settled_at     timestamptz NOT NULL DEFAULT now(),
    done_at        timestamptz,
    package_sha256 bytea,
    receipt        jsonb,
    CHECK (state <> 'packed' OR package_sha256 IS NOT NULL)
);
CREATE INDEX intake_open ON intake (state, id) WHERE state <> 'done';
CREATE INDEX intake_series ON intake (series_token);

-- Instances of one series from one sender in one segment.
CREATE TABLE intake_part (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intake_id    bigint REFERENCES intake,   -- NULL until the series settles
    series_token bytea NOT NULL,
    sender       text NOT NULL,
    centre       text NOT NULL,
    segment      bigint NOT NULL REFERENCES segment,
    n            int NOT NULL CHECK (n > 0),
    offsets      bigint[],                   -- of each Part 10 object; dropped when the intake is done
    lengths      bigint[],
    received_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX intake_part_open ON intake_part (series_token) WHERE intake_id IS NULL;
CREATE INDEX intake_part_intake ON intake_part (intake_id);
CREATE INDEX intake_part_segment ON intake_part (segment) WHERE offsets IS NOT NULL;

-- What became of the instances of an intake; a `packed` row counts as pending until the intake is done.
CREATE TABLE outcome (
    intake_id bigint NOT NULL REFERENCES intake,
    sender    text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('packed', 'archived', 'duplicate', 'quarantined')),
    code      text NOT NULL DEFAULT '',
    n         int NOT NULL CHECK (n > 0),
    PRIMARY KEY (intake_id, sender, kind, code)
);

-- The instances that were packed, as digests of what left: hash of the new UID (32 bytes), hash of the bytes (32 bytes).
CREATE TABLE known_instances (
    intake_id    bigint PRIMARY KEY REFERENCES intake,
    series_token bytea NOT NULL,
    digests      bytea NOT NULL CHECK (octet_length(digests) % 64 = 0)
);
CREATE INDEX known_instances_series ON known_instances (series_token);

-- What is held back, one row an instance; the original is DIR/gateway/quarantine/<id>/.
CREATE TABLE quarantine (
    id             bigint PRIMARY KEY,
    intake_id      bigint NOT NULL REFERENCES intake,
    sender         text NOT NULL,
    centre         text NOT NULL,
    code           text NOT NULL,
    grade          text NOT NULL CHECK (grade IN ('review', 'refuse')),
    n_bytes        bigint NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    state          text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'discarded'))
);
CREATE INDEX quarantine_code ON quarantine (code, id);
CREATE SEQUENCE quarantine_number;
