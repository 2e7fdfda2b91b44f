-- Who this host is. One row, made at the first start.
CREATE TABLE self (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    id TEXT NOT NULL CHECK (length(id) = 32), -- in lower-case hex: 16 random bytes, or the first half of the fingerprint
    created_at INTEGER NOT NULL, -- when the first id was made, ms since 1970
    former_id TEXT CHECK (length(former_id) = 32) -- what id was before; NULL: there was none
) STRICT;

-- What a person has set on the settings page. What is missing here has its default.
CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY, -- as in the API: 'running_downloads'
    value TEXT NOT NULL -- as text: '3', 'true', '/srv/files'
) STRICT, WITHOUT ROWID;
