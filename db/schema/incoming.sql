-- Files that others gave to this host, or are giving: what was accepted, and how the last offers ended.
CREATE TABLE incoming (
    id INTEGER PRIMARY KEY, -- as people see it; given by the inbox, never used again
    token TEXT NOT NULL, -- 32 hex digits that only the sender knows: with them it goes on after a restart
    kind TEXT NOT NULL CHECK (kind IN ('browser', 'localsend', 'hostpair')), -- what sends
    name TEXT NOT NULL, -- of the sender, as it said
    address TEXT NOT NULL, -- of the sender then
    host TEXT NOT NULL, -- the sender's proven id; ''
    base TEXT NOT NULL, -- the downloads folder at the time; '' when it was never accepted
    folder TEXT NOT NULL, -- where it lands below base; ''
    state TEXT NOT NULL CHECK (state IN ('receiving', 'done', 'declined', 'failed', 'cancelled')), -- all but the first are its end
    reason TEXT NOT NULL, -- why it ended so, a sentence; ''
    files INTEGER NOT NULL, -- in the offer; not all of them need have a row
    created_at INTEGER NOT NULL, -- wall clock, ms
    finished_at INTEGER NOT NULL -- wall clock, ms; 0: not over
) STRICT;

-- What a start goes on with, and what has ended, oldest first.
CREATE INDEX incoming_running ON incoming (id) WHERE state = 'receiving';
CREATE INDEX incoming_ended ON incoming (id) WHERE state <> 'receiving';

-- The files of each.
CREATE TABLE incoming_file (
    incoming INTEGER NOT NULL REFERENCES incoming (id) ON DELETE CASCADE, -- whose file it is
    number INTEGER NOT NULL, -- its place in the offer, from 0
    name TEXT NOT NULL, -- as the sender calls it, with folders
    key TEXT NOT NULL, -- the sender's id of it
    type TEXT NOT NULL, -- media type
    size INTEGER, -- bytes; NULL: the sender did not know
    sha256 BLOB CHECK (length(sha256) = 32), -- of its content, as the sender says; NULL: it did not
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)), -- 0: accepted without it
    done INTEGER NOT NULL CHECK (done IN (0, 1)), -- 1: it is whole and has its name
    path TEXT NOT NULL, -- where it landed below base; '' until it is done
    received INTEGER NOT NULL, -- bytes from its start that are on the disk
    part TEXT NOT NULL, -- name of its part file; '' none
    inode INTEGER NOT NULL, -- st_ino of the part file; 0
    folder INTEGER NOT NULL CHECK (folder IN (0, 1)), -- 1: a folder with everything below it, which this host fetches
    download INTEGER NOT NULL, -- the download by which this host fetches it; 0: the sender brings it
    PRIMARY KEY (incoming, number)
) STRICT, WITHOUT ROWID;
