-- Exactly-once effects of at-least-once jobs, and jobs that failed too often. procrastinate's tables are 0003's.

-- What has been done: written in the same transaction as the rows that it tells of. The truth, whatever a job says.
CREATE TABLE effect (
    kind text NOT NULL,
    subject text NOT NULL,
    input_version text NOT NULL,
    outcome text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, subject, input_version)
);

-- Failures of a job that is still there. A job of status `failed` is held until somebody resumes it.
CREATE TABLE job_failure (
    job_id bigint PRIMARY KEY REFERENCES procrastinate_jobs ON DELETE CASCADE,
    failures integer NOT NULL CHECK (failures > 0),
    error text NOT NULL, -- a class or code, never a message
    at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX job_held ON procrastinate_jobs (queueing_lock) WHERE status = 'failed';

CREATE FUNCTION job_wake() RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')
$$;

CREATE FUNCTION job_count_failure(p_job_id bigint, p_error text) RETURNS integer LANGUAGE sql AS $$
    INSERT INTO job_failure AS known (job_id, failures, error) VALUES (p_job_id, 1, p_error)
        ON CONFLICT (job_id) DO UPDATE SET failures = known.failures + 1, error = excluded.error, at = now()
        RETURNING failures
$$;

-- Put a job back. If one with its queueing lock waits already, that one does the work and inherits the failures.
CREATE FUNCTION job_retry(p_job_id bigint, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM procrastinate_retry_job_v2(p_job_id, p_at, NULL, NULL, NULL);
EXCEPTION WHEN unique_violation THEN
    INSERT INTO job_failure AS known (job_id, failures, error, at)
        SELECT waiting.id, mine.failures, mine.error, mine.at
        FROM procrastinate_jobs AS me
        JOIN procrastinate_jobs AS waiting ON waiting.queueing_lock = me.queueing_lock AND waiting.status = 'todo'
        JOIN job_failure AS mine ON mine.job_id = me.id
        WHERE me.id = p_job_id
        ON CONFLICT (job_id) DO UPDATE SET failures = greatest(known.failures, excluded.failures);
    DELETE FROM procrastinate_jobs WHERE id = p_job_id;
END
$$;

-- Take up the jobs of workers that are gone or silent. A job that took `p_limit` workers with it is held.
CREATE FUNCTION job_reclaim(p_stalled_seconds double precision, p_limit integer)
RETURNS TABLE (job_id bigint, is_held boolean) LANGUAGE plpgsql AS $$
BEGIN
    FOR job_id IN
        SELECT job.id FROM procrastinate_jobs AS job LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
        WHERE job.status = 'doing'
            AND (worker.id IS NULL OR worker.last_heartbeat < now() - make_interval(secs => p_stalled_seconds))
        FOR UPDATE OF job SKIP LOCKED
    LOOP
        is_held := job_count_failure(job_id, 'WorkerDied') >= p_limit;
        IF is_held THEN
            PERFORM procrastinate_finish_job_v1(job_id, 'failed', false);
        ELSE
            PERFORM job_retry(job_id, now());
        END IF;
        RETURN NEXT;
    END LOOP;
    IF FOUND THEN
        PERFORM job_wake();
    END IF;
END
$$;
