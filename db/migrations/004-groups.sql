-- Groups of hosts that meet at a hub, and their members.

CREATE TABLE member_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gid BLOB NOT NULL UNIQUE CHECK (length(gid) = 16),
    name TEXT NOT NULL,
    hub TEXT NOT NULL,
    hub_pin BLOB NOT NULL CHECK (length(hub_pin) IN (16, 32)),
    secret BLOB NOT NULL CHECK (length(secret) = 16),
    publish INTEGER NOT NULL DEFAULT 1 CHECK (publish IN (0, 1)),
    state TEXT NOT NULL DEFAULT 'member'
        CHECK (state IN ('member', 'leaving')),
    list_revision INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE group_member (
    group_id INTEGER NOT NULL REFERENCES member_group (id) ON DELETE CASCADE,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    host TEXT NOT NULL CHECK (length(host) = 32),
    proof BLOB NOT NULL CHECK (length(proof) = 32),
    name TEXT NOT NULL,
    list_revision INTEGER NOT NULL DEFAULT 0,
    list_etag TEXT NOT NULL DEFAULT '',
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_member_host ON group_member (host, group_id);
