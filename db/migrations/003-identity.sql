-- A host's id can be proven by its key, and changes once, from a random one to the one of its key: hosts get their key's
-- fingerprint, when they were paired, and the ids that they had before; so does this host.

ALTER TABLE host ADD COLUMN fingerprint BLOB CHECK (length(fingerprint) = 32);
ALTER TABLE host ADD COLUMN proven INTEGER NOT NULL DEFAULT 0
    CHECK (proven IN (0, 1)) CHECK (proven = 0 OR fingerprint IS NOT NULL);
ALTER TABLE host ADD COLUMN paired_at INTEGER CHECK (paired_at IS NULL OR proven = 1);

CREATE TABLE host_alias (
    alias TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX host_alias_host ON host_alias (host);

ALTER TABLE self ADD COLUMN former_id TEXT CHECK (length(former_id) = 32);
