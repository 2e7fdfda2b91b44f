-- What `hostpair hub` keeps of the groups that it serves. All four tables are empty in the database of a host that is
-- no hub. A hub knows groups by ids that mean nothing to it, and stores lists that it cannot read.

-- A group: several hosts that know one secret.
CREATE TABLE hub_group (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- made from the secret, which the hub does not know
    credential BLOB NOT NULL CHECK (length(credential) = 32), -- SHA-256 of what a member shows to be let in
    creator TEXT NOT NULL,        -- the network address that made it: a /64 of IPv6; for the quota of groups
    created_at INTEGER NOT NULL   -- wall clock, ms
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_group_creator ON hub_group (creator);

-- A host that is in a group, present or away.
CREATE TABLE hub_member (
    gid BLOB NOT NULL REFERENCES hub_group (id) ON DELETE CASCADE, -- the group
    host TEXT NOT NULL CHECK (length(host) = 32), -- the host's id: of its fingerprint
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32), -- proven by its TLS handshake with the hub
    name TEXT NOT NULL,           -- as it calls itself
    proof BLOB NOT NULL CHECK (length(proof) = 32), -- for the other members to check; the hub cannot make one
    seen_at INTEGER NOT NULL,     -- wall clock, ms: when it joined or came back last
    list_etag TEXT NOT NULL DEFAULT '', -- of its sealed list; '' none
    list_size INTEGER NOT NULL DEFAULT 0, -- bytes of its sealed list
    PRIMARY KEY (gid, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_member_seen ON hub_member (seen_at);

-- A member's sealed file list, in pieces. Pieces of a list that is being uploaded have another etag than the member's
-- row says, until the last one is here.
CREATE TABLE hub_list_piece (
    gid BLOB NOT NULL,            -- the group
    host TEXT NOT NULL,           -- the member
    etag TEXT NOT NULL,           -- of the list that it is a piece of
    offset INTEGER NOT NULL,      -- of its first byte
    data BLOB NOT NULL,           -- its bytes
    PRIMARY KEY (gid, host, etag, offset),
    FOREIGN KEY (gid, host) REFERENCES hub_member (gid, host) ON DELETE CASCADE
) STRICT;

-- A content that a member has: HMAC of its root, so that the hub does not learn the root.
CREATE TABLE hub_tag (
    gid BLOB NOT NULL,            -- the group
    tag BLOB NOT NULL CHECK (length(tag) = 16), -- of the content
    host TEXT NOT NULL,           -- the member
    PRIMARY KEY (gid, tag, host),
    FOREIGN KEY (gid, host) REFERENCES hub_member (gid, host) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_tag_host ON hub_tag (gid, host);
