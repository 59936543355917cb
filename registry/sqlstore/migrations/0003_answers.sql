-- What lookups of a build are answered, in texts that this package does not look into. The type is that of the
-- build and the revocation that of the version, so that a lookup needs no row of theirs.

-- +goose Up
CREATE TABLE answer (
    artifact_id    BIGINT NOT NULL,
    number         BIGINT NOT NULL,
    ordinal        BIGINT NOT NULL,
    type           CTEXT  NOT NULL,
    revoked_at     BIGINT,
    revoked_by     CTEXT  NOT NULL,
    revoked_reason CTEXT  NOT NULL,
    body           CTEXT  NOT NULL,
    images         CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal),
    FOREIGN KEY (artifact_id, number, ordinal) REFERENCES build (artifact_id, number, ordinal)
);

-- A lookup finds its way to the answer in these, without the rows behind them.
DROP INDEX artifact_name;
CREATE INDEX artifact_name ON artifact (namespace, name, deleted, id);
CREATE INDEX head_number ON head (artifact_id, type, number);
CREATE INDEX channel_number ON channel (artifact_id, name, number);
