-- The archive: what was offered, and the series of which it is made. No identity, no key, no hash of original bytes.
-- Instances have no rows: they are in the manifest beside each package (registry.md 12, 13).

-- What may be sent here. A code is part of object keys.
CREATE TABLE collection (
    code       text PRIMARY KEY CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO collection (code) VALUES ('fidac');

-- Every package that was ever received, by its hash; the bytes are DIR/registry/inbox/<sha256>.zip until it is decided.
-- received: a job will read it; archived, refused: decided once, the receipt never changes.
CREATE TABLE inbox (
    sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    account     text NOT NULL,
    centre      text NOT NULL,
    collection  text NOT NULL REFERENCES collection,
    profile     text NOT NULL,
    bytes       bigint NOT NULL CHECK (bytes > 0),
    state       text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'archived', 'refused')),
    received_at timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    number      text UNIQUE,
    receipt     jsonb,
    signature   text,
    CHECK ((state = 'received') = (decided_at IS NULL)),
    CHECK ((state = 'received') = (receipt IS NULL AND signature IS NULL AND number IS NULL))
);
CREATE INDEX inbox_open ON inbox (centre, received_at) WHERE state = 'received';
CREATE INDEX inbox_refused ON inbox (centre, decided_at) WHERE state = 'refused';

-- Counts and bytes are those of the current versions of its series, written in the transaction that changes them.
CREATE TABLE study (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_instance_uid text NOT NULL UNIQUE,
    collection         text NOT NULL REFERENCES collection,
    centre             text NOT NULL,
    patient_id         text NOT NULL,
    patient_sex        text NOT NULL DEFAULT '',
    patient_age        text NOT NULL DEFAULT '',
    study_date         date,
    study_time         text NOT NULL DEFAULT '',
    study_description  text NOT NULL DEFAULT '',
    modalities         text[] NOT NULL DEFAULT '{}',
    series_count       int NOT NULL DEFAULT 0,
    instance_count     int NOT NULL DEFAULT 0,
    bytes              bigint NOT NULL DEFAULT 0,
    archived_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX study_patient ON study (patient_id);
CREATE INDEX study_page ON study (study_date DESC, id);
CREATE INDEX study_centre_page ON study (centre, study_date DESC, id);
CREATE INDEX study_newest ON study (archived_at DESC, id);
CREATE INDEX study_centre_newest ON study (centre, archived_at DESC, id);

CREATE TABLE series (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_instance_uid text NOT NULL UNIQUE,
    study_id            bigint NOT NULL REFERENCES study,
    modality            text NOT NULL DEFAULT '',
    series_number       int,
    series_description  text NOT NULL DEFAULT '',
    body_part           text NOT NULL DEFAULT '',
    instances           int NOT NULL CHECK (instances > 0),
    bytes               bigint NOT NULL CHECK (bytes > 0),
    version             int NOT NULL CHECK (version > 0),
    package_sha256      bytea NOT NULL CHECK (octet_length(package_sha256) = 32), -- of the current version
    archived_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX series_study ON series (study_id, series_number);

-- Every version of every series. Only the current one is sure to have its bytes (docs/decisions/0030-series-package.md).
CREATE TABLE package (
    sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    series_id   bigint NOT NULL REFERENCES series,
    version     int NOT NULL CHECK (version > 0),
    previous    bytea REFERENCES package,
    instances   int NOT NULL CHECK (instances > 0),
    bytes       bigint NOT NULL CHECK (bytes > 0),
    archived_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (series_id, version),
    CHECK ((version = 1) = (previous IS NULL))
);

-- What each gateway last said of the hospital side.
CREATE TABLE gateway_ledger (
    account     text PRIMARY KEY,
    centre      text NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(),
    ledger      jsonb NOT NULL
);
