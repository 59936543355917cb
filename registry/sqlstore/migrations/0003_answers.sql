-- What lookups of a build are answered, as it is sent: JSON that this package does not look into. type is
-- that of the build, so that a lookup needs no row of it.

-- +goose Up
CREATE TABLE answer (
    artifact_id BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    ordinal     BIGINT NOT NULL,
    type        CTEXT  NOT NULL,
    body        CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal),
    FOREIGN KEY (artifact_id, number, ordinal) REFERENCES build (artifact_id, number, ordinal)
);
