-- What a hub keeps of the groups that it serves.

CREATE TABLE hub_group (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    credential BLOB NOT NULL CHECK (length(credential) = 32),
    creator TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_group_creator ON hub_group (creator);

CREATE TABLE hub_member (
    gid BLOB NOT NULL REFERENCES hub_group (id) ON DELETE CASCADE,
    host TEXT NOT NULL CHECK (length(host) = 32),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    name TEXT NOT NULL,
    proof BLOB NOT NULL CHECK (length(proof) = 32),
    seen_at INTEGER NOT NULL,
    list_etag TEXT NOT NULL DEFAULT '',
    list_size INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (gid, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_member_seen ON hub_member (seen_at);

CREATE TABLE hub_list_piece (
    gid BLOB NOT NULL,
    host TEXT NOT NULL,
    etag TEXT NOT NULL,
    offset INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (gid, host, etag, offset),
    FOREIGN KEY (gid, host) REFERENCES hub_member (gid, host) ON DELETE CASCADE
) STRICT;

CREATE TABLE hub_tag (
    gid BLOB NOT NULL,
    tag BLOB NOT NULL CHECK (length(tag) = 16),
    host TEXT NOT NULL,
    PRIMARY KEY (gid, tag, host),
    FOREIGN KEY (gid, host) REFERENCES hub_member (gid, host) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_tag_host ON hub_tag (gid, host);
