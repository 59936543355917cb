-- One text for SQLite and PostgreSQL. Times are microseconds since the epoch, in UTC. Lists and maps
-- are JSON, or '' when they are empty. CTEXT is text that sorts by its bytes: on PostgreSQL a domain
-- (see postgres.go), to SQLite just a name with TEXT in it, which gives a column text affinity.

-- +goose Up
CREATE TABLE counter (
    name  CTEXT  NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('artifact', 0), ('event', 0), ('ping', 0), ('token', 0);

-- A deleted artifact stays as a row, because its numbers must not be given again.
CREATE TABLE artifact (
    id          BIGINT  NOT NULL PRIMARY KEY,
    namespace   CTEXT   NOT NULL,
    name        CTEXT   NOT NULL,
    description CTEXT   NOT NULL,
    search      CTEXT   NOT NULL, -- name and description in lower case
    public      BOOLEAN NOT NULL,
    last_number BIGINT  NOT NULL,
    highest     CTEXT   NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted     BOOLEAN NOT NULL
);
-- The only unique index on the name: with a second one, PostgreSQL could report a violation of that
-- one when two connections insert the same name at once, in spite of ON CONFLICT.
CREATE UNIQUE INDEX artifact_folded ON artifact (lower(namespace), lower(name));
CREATE INDEX artifact_name ON artifact (namespace, name);

CREATE TABLE version (
    artifact_id    BIGINT NOT NULL REFERENCES artifact (id),
    number         BIGINT NOT NULL,
    version        CTEXT  NOT NULL,
    fingerprint    CTEXT  NOT NULL,
    status         CTEXT  NOT NULL,
    expect         CTEXT  NOT NULL,
    requested      CTEXT  NOT NULL,
    metadata       CTEXT  NOT NULL,
    created_at     BIGINT NOT NULL,
    created_by     CTEXT  NOT NULL,
    completed_at   BIGINT,
    revoked_at     BIGINT,
    revoked_by     CTEXT  NOT NULL,
    revoked_reason CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number),
    UNIQUE (artifact_id, version),
    UNIQUE (artifact_id, fingerprint)
);
CREATE INDEX version_revoked ON version (revoked_at) WHERE revoked_at IS NOT NULL;

-- ordinal names a build in the keys of images and files, which would be long with the component.
CREATE TABLE build (
    artifact_id  BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    ordinal      BIGINT NOT NULL,
    component    CTEXT  NOT NULL,
    type         CTEXT  NOT NULL,
    provider     CTEXT  NOT NULL,
    architecture CTEXT  NOT NULL,
    metadata     CTEXT  NOT NULL,
    provenance   CTEXT  NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal),
    UNIQUE (artifact_id, number, component),
    FOREIGN KEY (artifact_id, number) REFERENCES version (artifact_id, number)
);

CREATE TABLE image (
    artifact_id BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    ordinal     BIGINT NOT NULL,
    provider    CTEXT  NOT NULL,
    region      CTEXT  NOT NULL,
    id          CTEXT  NOT NULL,
    source_id   CTEXT  NOT NULL,
    labels      CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal, provider, region, id),
    FOREIGN KEY (artifact_id, number, ordinal) REFERENCES build (artifact_id, number, ordinal)
);
CREATE INDEX image_id ON image (id, region, provider);

CREATE TABLE file (
    artifact_id BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    ordinal     BIGINT NOT NULL,
    name        CTEXT  NOT NULL,
    size        BIGINT NOT NULL,
    sha256      CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, number, ordinal, name),
    FOREIGN KEY (artifact_id, number, ordinal) REFERENCES build (artifact_id, number, ordinal)
);
CREATE INDEX file_sha256 ON file (sha256, artifact_id);

-- Names its artifact by text: bytes are uploaded before the first publication makes the artifact.
CREATE TABLE blob_grant (
    namespace CTEXT NOT NULL,
    name      CTEXT NOT NULL,
    digest    CTEXT NOT NULL,
    PRIMARY KEY (digest, namespace, name)
);
CREATE INDEX blob_grant_name ON blob_grant (namespace, name);

-- What latest finds: for each type, and for any type under ''.
CREATE TABLE head (
    artifact_id BIGINT NOT NULL,
    type        CTEXT  NOT NULL,
    number      BIGINT NOT NULL,
    PRIMARY KEY (artifact_id, type),
    FOREIGN KEY (artifact_id, number) REFERENCES version (artifact_id, number)
);

CREATE TABLE channel (
    artifact_id BIGINT NOT NULL,
    name        CTEXT  NOT NULL,
    number      BIGINT NOT NULL,
    moved_at    BIGINT NOT NULL,
    moved_by    CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, name),
    FOREIGN KEY (artifact_id, number) REFERENCES version (artifact_id, number)
);

CREATE TABLE channel_move (
    artifact_id BIGINT NOT NULL REFERENCES artifact (id),
    channel     CTEXT  NOT NULL,
    seq         BIGINT NOT NULL,
    from_number BIGINT,
    to_number   BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    actor       CTEXT  NOT NULL,
    reason      CTEXT  NOT NULL,
    PRIMARY KEY (artifact_id, channel, seq)
);

-- Names its artifact by text: the log outlives what it tells of.
CREATE TABLE event (
    id       BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    actor    CTEXT  NOT NULL,
    action   CTEXT  NOT NULL,
    artifact CTEXT  NOT NULL,
    number   BIGINT NOT NULL,
    detail   CTEXT  NOT NULL
);

CREATE TABLE token (
    id         CTEXT  NOT NULL PRIMARY KEY,
    name       CTEXT  NOT NULL,
    role       CTEXT  NOT NULL,
    scopes     CTEXT  NOT NULL,
    digest     CTEXT  NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by CTEXT  NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX token_created ON token (created_at, id);

CREATE TABLE upload (
    id         CTEXT  NOT NULL PRIMARY KEY,
    artifact   CTEXT  NOT NULL,
    size       BIGINT NOT NULL,
    sha256     CTEXT  NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX upload_created ON upload (created_at, id);
