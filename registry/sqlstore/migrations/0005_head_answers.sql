-- The answer of the latest version of a type is beside its number as well: most lookups ask for it, and find it in one
-- place, however many versions there are.

-- +goose Up
ALTER TABLE head ADD COLUMN revoked_at BIGINT;
ALTER TABLE head ADD COLUMN revoked_by CTEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN revoked_reason CTEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN body CTEXT NOT NULL DEFAULT '';
ALTER TABLE head ADD COLUMN images CTEXT NOT NULL DEFAULT '';
UPDATE head SET
    revoked_at = (SELECT s.revoked_at FROM answer s WHERE s.artifact_id = head.artifact_id AND s.number = head.number AND s.type = head.type),
    revoked_by = COALESCE((SELECT s.revoked_by FROM answer s WHERE s.artifact_id = head.artifact_id AND s.number = head.number AND s.type = head.type), ''),
    revoked_reason = COALESCE((SELECT s.revoked_reason FROM answer s WHERE s.artifact_id = head.artifact_id AND s.number = head.number AND s.type = head.type), ''),
    body = COALESCE((SELECT s.body FROM answer s WHERE s.artifact_id = head.artifact_id AND s.number = head.number AND s.type = head.type), ''),
    images = COALESCE((SELECT s.images FROM answer s WHERE s.artifact_id = head.artifact_id AND s.number = head.number AND s.type = head.type), '');
DROP INDEX head_name;
CREATE INDEX head_name ON head (namespace, name, type);
