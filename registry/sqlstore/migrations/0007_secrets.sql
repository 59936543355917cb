-- What a registry makes for itself once, such as keys. The values are base64, which is text on both databases.

-- +goose Up
CREATE TABLE secret (
    name  CTEXT NOT NULL PRIMARY KEY,
    value CTEXT NOT NULL
);
