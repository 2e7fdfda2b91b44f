-- What other hosts offer, as their lists said when they were last fetched. db/remote_file.h has the whole idea.
--
-- A list is built beside the one that is shown and takes its place in one transaction; rows of lists that are not
-- shown any more are removed in small steps. Every folder and file of a list is an entry with a number that counts
-- from 0 (the top folder); id = list * 2^32 + number.

CREATE TABLE remote_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, so an old id never means a new row
    host TEXT NOT NULL,                   -- host.id; no reference: the rows outlive the host until they are swept
    state TEXT NOT NULL CHECK (state IN ('building', 'shown', 'dropped')), -- dropped: its rows are being removed
    etag TEXT,                            -- validator of the whole list; NULL none
    files INTEGER NOT NULL,               -- rows of remote_file
    bytes INTEGER NOT NULL,               -- of the files whose size is known
    fetched_at INTEGER NOT NULL           -- wall clock, ms
) STRICT;
CREATE INDEX remote_list_host ON remote_list (host, state);
CREATE INDEX remote_list_state ON remote_list (state);

CREATE TABLE remote_folder (
    id INTEGER PRIMARY KEY,  -- list * 2^32 + number
    list INTEGER NOT NULL,   -- remote_list.id
    parent INTEGER,          -- remote_folder.id; NULL for the top
    path TEXT NOT NULL,      -- '' for the top
    name TEXT NOT NULL COLLATE NOCASE, -- last segment of path
    files INTEGER NOT NULL,  -- below it at any depth
    bytes INTEGER NOT NULL,  -- of these, where the size is known
    own_files INTEGER NOT NULL,  -- directly in it
    own_folders INTEGER NOT NULL -- directly in it
) STRICT;
CREATE UNIQUE INDEX remote_folder_path ON remote_folder (list, path);
CREATE INDEX remote_folder_parent ON remote_folder (parent, name);

CREATE TABLE remote_file (
    id INTEGER PRIMARY KEY,  -- list * 2^32 + number
    folder INTEGER NOT NULL, -- remote_folder.id
    name TEXT NOT NULL COLLATE NOCASE, -- last segment of its path
    size INTEGER,            -- NULL unknown
    mtime INTEGER,           -- ms; NULL unknown
    root BLOB CHECK (length(root) = 32), -- NULL unhashed or empty
    executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1)) -- 1: it may be run there
) STRICT;
CREATE INDEX remote_file_name ON remote_file (folder, name);

-- Files by content. Written in the order of its key, so that a large list does not touch every page at every commit.
CREATE TABLE remote_root (
    list INTEGER NOT NULL,   -- remote_list.id
    prefix INTEGER NOT NULL, -- first 8 bytes of the root, big-endian
    file INTEGER NOT NULL,   -- remote_file.id
    PRIMARY KEY (list, prefix, file)
) STRICT, WITHOUT ROWID;

-- The same entries packed by the thousand, for reading all of them in one go: searching names, and sorting large folders.
CREATE TABLE remote_names (
    id INTEGER PRIMARY KEY,  -- of the first entry
    names BLOB NOT NULL      -- the names in lower case, each ended by a zero byte
) STRICT;
CREATE TABLE remote_keys (
    id INTEGER PRIMARY KEY,  -- of the first entry, as in remote_names
    keys BLOB NOT NULL       -- 24 bytes an entry, little-endian: number of its folder (4), 1 for a folder (4), size (8), mtime (8)
) STRICT;
