-- Other hosts that were found at least once. A host stays until a person removes it.
CREATE TABLE host (
    id TEXT NOT NULL PRIMARY KEY, -- 32 lower-case hex digits, or "addr-<ip>-<port>" for a host without an id
    name TEXT NOT NULL,           -- as it calls itself; text of a stranger
    protocol INTEGER NOT NULL,    -- 1, or 0 for a plain web server that knows only /hostpair and /list
    found_by TEXT NOT NULL,       -- scan, beacon, hand or message: how it was found the first time
    instance TEXT NOT NULL,       -- of its last start that was seen; '' unknown
    files INTEGER,                -- what it said it offers; NULL unknown
    bytes INTEGER,                -- what it said its files hold in all; NULL unknown
    first_seen INTEGER NOT NULL,  -- wall clock, ms
    last_seen INTEGER NOT NULL,   -- wall clock, ms
    blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)) -- 1: a person shut it out of the peer listener
) STRICT;

-- Where a host answered. The address that answered last is tried first.
CREATE TABLE host_address (
    host TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE, -- whose it is
    address TEXT NOT NULL,        -- numeric; a link-local IPv6 address with %interface
    port INTEGER NOT NULL,        -- of its peer listener
    answered_at INTEGER NOT NULL, -- wall clock, ms
    PRIMARY KEY (host, address, port)
) STRICT, WITHOUT ROWID;
