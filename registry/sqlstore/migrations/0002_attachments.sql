-- What is found of images at their providers, and documents about builds.

-- +goose Up
-- '' is both the status and the verification of an image that nobody looked at. The status is apart from
-- the JSON with the rest, because lists of what is offered depend on it.
ALTER TABLE image ADD COLUMN status CTEXT NOT NULL DEFAULT '';
ALTER TABLE image ADD COLUMN verification CTEXT NOT NULL DEFAULT '';

CREATE TABLE attachment (
    artifact_id BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    ordinal     BIGINT NOT NULL,
    name        CTEXT  NOT NULL,
    kind        CTEXT  NOT NULL,
    format      CTEXT  NOT NULL,
    size        BIGINT NOT NULL,
    sha256      CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal, name),
    FOREIGN KEY (artifact_id, number, ordinal) REFERENCES build (artifact_id, number, ordinal)
);
CREATE INDEX attachment_sha256 ON attachment (sha256, artifact_id);
