-- What asks for builds, and what was asked for: links between artifacts, and the runs that they lead to with their logs.
-- And builds that were announced before their bytes came.

-- +goose Up
INSERT INTO counter (name, value) VALUES ('run', 0);

CREATE TABLE link (
    application_id BIGINT NOT NULL REFERENCES artifact (id),
    target_id      BIGINT NOT NULL REFERENCES artifact (id),
    created_at     BIGINT NOT NULL,
    created_by     CTEXT  NOT NULL,
    PRIMARY KEY (application_id, target_id)
);
CREATE INDEX link_target ON link (target_id);

-- The versions are not held to exist: a run outlives them, and fails when it is claimed. log_size is the length of all
-- texts of its log in bytes.
CREATE TABLE run (
    id             BIGINT NOT NULL PRIMARY KEY,
    application_id BIGINT NOT NULL REFERENCES artifact (id),
    number         BIGINT NOT NULL,
    version        CTEXT  NOT NULL,
    target_id      BIGINT NOT NULL REFERENCES artifact (id),
    fingerprint    CTEXT  NOT NULL,
    status         CTEXT  NOT NULL,
    attempts       BIGINT NOT NULL,
    repeats        BIGINT NOT NULL,
    runner         CTEXT  NOT NULL,
    lease          CTEXT  NOT NULL,
    requested_at   BIGINT NOT NULL,
    started_at     BIGINT,
    lease_until    BIGINT,
    finished_at    BIGINT,
    result_number  BIGINT,
    result_version CTEXT,
    message        CTEXT  NOT NULL,
    log_size       BIGINT NOT NULL,
    UNIQUE (application_id, number, target_id)
);
CREATE INDEX run_application ON run (application_id, id);
CREATE INDEX run_target ON run (target_id, id);
CREATE INDEX run_status ON run (status, id);
-- Runners ask often, and most runs are over.
CREATE INDEX run_open ON run (application_id, target_id, id) WHERE status IN ('queued', 'running');

-- start is where the text begins in the log, in bytes.
CREATE TABLE run_log (
    run_id BIGINT NOT NULL REFERENCES run (id),
    start  BIGINT NOT NULL,
    text   CTEXT  NOT NULL,
    PRIMARY KEY (run_id, start)
);

ALTER TABLE upload ADD COLUMN draft CTEXT NOT NULL DEFAULT '';
