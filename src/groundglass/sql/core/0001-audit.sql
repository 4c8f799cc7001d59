-- The audit log: append-only, hash-chained, gapless. Never a patient value.
-- hash = SHA-256(prev_hash || canonical JSON of the event), see core/audit.py.

CREATE TABLE event (
    id bigint PRIMARY KEY CHECK (id > 0),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb NOT NULL,
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- The last link, one row. Its lock orders the writers; its number tells when a tail was cut.
CREATE TABLE event_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id bigint NOT NULL,
    hash bytea NOT NULL
);

INSERT INTO event_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- The only way in. The caller composes the canonical JSON around the id, which only the holder of the lock knows.
CREATE FUNCTION audit_append(
    p_at timestamptz, p_actor text, p_action text, p_target text, p_detail jsonb, p_before_id text, p_after_id text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    head event_head;
    link bytea;
BEGIN
    SELECT * INTO head FROM event_head FOR UPDATE;
    head.id := head.id + 1;
    link := sha256(head.hash || convert_to(p_before_id || head.id || p_after_id, 'UTF8'));
    INSERT INTO event (id, at, actor, action, target, detail, prev_hash, hash)
        VALUES (head.id, p_at, p_actor, p_action, p_target, p_detail, head.hash, link);
    UPDATE event_head SET id = head.id, hash = link;
    RETURN head.id;
END
$$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE TRIGGER event_head_stays BEFORE DELETE OR TRUNCATE ON event_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- The application's role (ZONE_app in database ZONE) reads, and appends through the function only.
REVOKE ALL ON FUNCTION audit_append(timestamptz, text, text, text, jsonb, text, text) FROM PUBLIC;

DO $$
DECLARE
    app text := current_database() || '_app';
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON event, event_head FROM %I', app);
        EXECUTE format('GRANT SELECT ON event, event_head TO %I', app);
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION audit_append(timestamptz, text, text, text, jsonb, text, text) TO %I', app
        );
    END IF;
END
$$;
