-- What others give to this host: offers that were accepted, and how the last ones ended.

CREATE TABLE incoming (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('browser', 'localsend', 'hostpair')),
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    host TEXT NOT NULL,
    base TEXT NOT NULL,
    folder TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('receiving', 'done', 'declined', 'failed', 'cancelled')),
    reason TEXT NOT NULL,
    files INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;

CREATE INDEX incoming_running ON incoming (id) WHERE state = 'receiving';
CREATE INDEX incoming_ended ON incoming (id) WHERE state <> 'receiving';

CREATE TABLE incoming_file (
    incoming INTEGER NOT NULL REFERENCES incoming (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    size INTEGER,
    sha256 BLOB CHECK (length(sha256) = 32),
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    path TEXT NOT NULL,
    received INTEGER NOT NULL,
    part TEXT NOT NULL,
    inode INTEGER NOT NULL,
    folder INTEGER NOT NULL CHECK (folder IN (0, 1)),
    download INTEGER NOT NULL,
    PRIMARY KEY (incoming, number)
) STRICT, WITHOUT ROWID;
