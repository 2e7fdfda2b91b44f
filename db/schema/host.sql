-- Other hosts that were found at least once. A host stays until a person removes it.
CREATE TABLE host (
    id TEXT NOT NULL PRIMARY KEY, -- 32 lower-case hex digits, or "addr-<ip>-<port>" for a host without an id
    name TEXT NOT NULL,           -- as it calls itself; text of a stranger
    protocol INTEGER NOT NULL,    -- 1, or 0 for a plain web server that knows only /hostpair and /list
    found_by TEXT NOT NULL,       -- scan, beacon, hand, message or group: how it was found the first time
    instance TEXT NOT NULL,       -- of its last start that was seen; '' unknown
    files INTEGER,                -- what it said it offers; NULL unknown
    bytes INTEGER,                -- what it said its files hold in all; NULL unknown
    first_seen INTEGER NOT NULL,  -- wall clock, ms
    last_seen INTEGER NOT NULL,   -- wall clock, ms
    blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)), -- 1: a person shut it out of the peer listener
    fingerprint BLOB CHECK (length(fingerprint) = 32), -- SHA-256 of its public key; NULL unknown
    proven INTEGER NOT NULL DEFAULT 0 -- 1: it has proven that key in a handshake, and is never asked in plain again
        CHECK (proven IN (0, 1)) CHECK (proven = 0 OR fingerprint IS NOT NULL),
    paired_at INTEGER CHECK (paired_at IS NULL OR proven = 1), -- wall clock, ms, when people on both sides compared the
                                                              -- digits; NULL: they have not
    unpaired_at INTEGER CHECK (unpaired_at IS NULL OR paired_at IS NULL), -- wall clock, ms, when the pairing ended here;
                                                                         -- NULL once the other host has been told
    added_as TEXT -- "name:port" by which a person added it, looked up again when its addresses stop answering; NULL none
) STRICT;

-- Ids that a host had before, each leading to the one it has now: what was said of the old one is said of the new one.
CREATE TABLE host_alias (
    alias TEXT NOT NULL PRIMARY KEY, -- a former id
    host TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE -- whose it was
) STRICT, WITHOUT ROWID;
CREATE INDEX host_alias_host ON host_alias (host);

-- Where a host answered. The address that answered last is tried first.
CREATE TABLE host_address (
    host TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE, -- whose it is
    address TEXT NOT NULL,        -- numeric; a link-local IPv6 address with %interface
    port INTEGER NOT NULL,        -- of its peer listener
    answered_at INTEGER NOT NULL, -- wall clock, ms
    PRIMARY KEY (host, address, port)
) STRICT, WITHOUT ROWID;
