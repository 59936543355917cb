-- A lookup names a type, and finds one answer under it without a look at a second. An empty body says that the
-- type has several builds in the version.

-- +goose Up
CREATE TABLE answer_by_type (
    artifact_id    BIGINT NOT NULL,
    number         BIGINT NOT NULL,
    type           CTEXT  NOT NULL,
    revoked_at     BIGINT,
    revoked_by     CTEXT  NOT NULL,
    revoked_reason CTEXT  NOT NULL,
    body           CTEXT  NOT NULL,
    images         CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, type),
    FOREIGN KEY (artifact_id, number) REFERENCES version (artifact_id, number)
);
INSERT INTO answer_by_type (artifact_id, number, type, revoked_at, revoked_by, revoked_reason, body, images)
SELECT artifact_id, number, type, MAX(revoked_at), MAX(revoked_by), MAX(revoked_reason),
    CASE WHEN COUNT(*) = 1 THEN MAX(body) ELSE '' END, CASE WHEN COUNT(*) = 1 THEN MAX(images) ELSE '' END
FROM answer GROUP BY artifact_id, number, type;
DROP TABLE answer;
ALTER TABLE answer_by_type RENAME TO answer;

-- And it finds the number of the latest version under the artifact's name at once.
ALTER TABLE head ADD COLUMN namespace CTEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN name CTEXT NOT NULL DEFAULT '';
UPDATE head SET namespace = (SELECT a.namespace FROM artifact a WHERE a.id = head.artifact_id),
    name = (SELECT a.name FROM artifact a WHERE a.id = head.artifact_id);
DROP INDEX head_number;
CREATE INDEX head_name ON head (namespace, name, type, artifact_id, number);
