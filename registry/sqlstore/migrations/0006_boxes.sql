-- What Vagrant's clients make step by step: versions that are held until they are released, boxes that were announced
-- before their bytes came, and uploads of them.

-- +goose Up
ALTER TABLE artifact ADD COLUMN summary CTEXT NOT NULL DEFAULT '';
ALTER TABLE version ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE version ADD COLUMN description CTEXT NOT NULL DEFAULT '';
ALTER TABLE build ADD COLUMN is_default BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE pending_box (
    artifact_id   BIGINT  NOT NULL,
    number        BIGINT  NOT NULL,
    component     CTEXT   NOT NULL,
    provider      CTEXT   NOT NULL,
    architecture  CTEXT   NOT NULL,
    is_default    BOOLEAN NOT NULL,
    checksum      CTEXT   NOT NULL,
    checksum_type CTEXT   NOT NULL,
    created_at    BIGINT  NOT NULL,
    created_by    CTEXT   NOT NULL,
    PRIMARY KEY (artifact_id, number, component),
    FOREIGN KEY (artifact_id, number) REFERENCES version (artifact_id, number)
);

-- The version and the component of an upload are not held to exist: an upload outlives what it was for.
ALTER TABLE upload ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN component CTEXT NOT NULL DEFAULT '';
ALTER TABLE upload ADD COLUMN created_by CTEXT NOT NULL DEFAULT '';
