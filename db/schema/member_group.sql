-- Groups that this host is a member of, and who else is. A hub brings the members of a group together; what it says of
-- one counts only when its proof does.
CREATE TABLE member_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- as in the API; never used again
    gid BLOB NOT NULL UNIQUE CHECK (length(gid) = 16), -- what the hub calls it; made of the secret
    name TEXT NOT NULL, -- as a person called it here
    hub TEXT NOT NULL, -- HOST:PORT of the hub, as an invite has it
    hub_pin BLOB NOT NULL CHECK (length(hub_pin) IN (16, 32)), -- start of the hub's fingerprint (from an invite), or all of it
    secret BLOB NOT NULL CHECK (length(secret) = 16), -- whoever knows it is a member; never leaves this file but in an invite
    publish INTEGER NOT NULL DEFAULT 1 CHECK (publish IN (0, 1)), -- 1: this host's list is left at the hub
    state TEXT NOT NULL DEFAULT 'member' -- leaving: out of it, but the hub has not been told yet
        CHECK (state IN ('member', 'leaving')),
    list_revision INTEGER NOT NULL DEFAULT 0, -- of the own list that was last left at the hub; goes up with each
    created_at INTEGER NOT NULL -- wall clock, ms, when this host made or joined it
) STRICT;

CREATE TABLE group_member (
    group_id INTEGER NOT NULL REFERENCES member_group (id) ON DELETE CASCADE, -- in member_group
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32), -- SHA-256 of the member's public key
    host TEXT NOT NULL CHECK (length(host) = 32), -- the id that goes with it, as in host
    proof BLOB NOT NULL CHECK (length(proof) = 32), -- HMAC of the fingerprint, made with the group's member key
    name TEXT NOT NULL, -- as it calls itself; text of a stranger
    list_revision INTEGER NOT NULL DEFAULT 0, -- of its newest list that was read here: an older one is a replay
    list_etag TEXT NOT NULL DEFAULT '', -- validator of that list at the hub; '' none
    seen_at INTEGER NOT NULL, -- wall clock, ms, when the hub last named it
    PRIMARY KEY (group_id, fingerprint)
) STRICT, WITHOUT ROWID;

-- The groups that a host is in.
CREATE INDEX group_member_host ON group_member (host, group_id);
