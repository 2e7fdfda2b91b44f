-- Which folder the index below describes. One row, made when a folder is shared for the first time.
CREATE TABLE share (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    folder TEXT NOT NULL, -- its absolute path
    device INTEGER NOT NULL, -- st_dev of the folder when it was last walked
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)), -- 1: it was walked to the end at least once
    revision INTEGER NOT NULL, -- goes up in the same transaction as every change that a list shows
    files INTEGER NOT NULL, -- rows of shared_file
    bytes INTEGER NOT NULL, -- sum of their sizes
    hashed_bytes INTEGER NOT NULL -- sum of the sizes of those with a root
) STRICT;

-- The folders that are shared besides that one: in place, each below its name in what others see.
CREATE TABLE shared_place (
    name TEXT NOT NULL PRIMARY KEY, -- first segment of the paths of its files in shared_file
    path TEXT NOT NULL, -- absolute
    device INTEGER NOT NULL DEFAULT 0 -- st_dev of the folder when it was last walked and not empty; 0 never
) STRICT, WITHOUT ROWID;

-- The index of the shared folders: every file that other hosts may see, with the hash of its content once it is known.
CREATE TABLE shared_file (
    id INTEGER PRIMARY KEY, -- a walk ticks off the rows that it meets by this number
    path TEXT NOT NULL UNIQUE, -- from the top of the shared folder, or a shared_place's name and on from there; '/' between segments; lists go by its bytes
    device INTEGER NOT NULL, -- st_dev; it and the next four say which bytes root belongs to
    inode INTEGER NOT NULL, -- st_ino
    size INTEGER NOT NULL, -- st_size
    mtime_ns INTEGER NOT NULL, -- st_mtim, ns since 1970
    ctime_ns INTEGER NOT NULL, -- st_ctim, ns since 1970
    root BLOB CHECK (length(root) = 32), -- pieces root of these bytes (BEP 52); NULL unhashed or empty
    hash_after INTEGER NOT NULL DEFAULT 0, -- not to be hashed before this time, ms since 1970; 0 whenever there is time
    executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1)) -- 1: its owner may run it
) STRICT;

-- The folders that have nothing to list in them.
CREATE TABLE shared_folder (
    path TEXT NOT NULL PRIMARY KEY -- as in shared_file
) STRICT, WITHOUT ROWID;

-- Files that were moved, and other names of the same file, keep their root.
CREATE INDEX shared_file_inode ON shared_file (inode, device);

-- Where a content is.
CREATE INDEX shared_file_root ON shared_file (root) WHERE root IS NOT NULL;

-- What is still to be hashed, by either end, and what has to wait.
CREATE INDEX shared_file_newest ON shared_file (ctime_ns DESC) WHERE root IS NULL AND size > 0 AND hash_after = 0;
CREATE INDEX shared_file_smallest ON shared_file (size) WHERE root IS NULL AND size > 0 AND hash_after = 0;
CREATE INDEX shared_file_waiting ON shared_file (hash_after) WHERE hash_after > 0;

-- The layer of the hash tree that downloads are verified with, for each content of more than one chunk.
CREATE TABLE shared_layer (
    root BLOB NOT NULL PRIMARY KEY CHECK (length(root) = 32), -- as in shared_file; goes with the last file that has it
    chunk_size INTEGER NOT NULL, -- bytes that a digest covers
    digests BLOB NOT NULL -- 32 bytes a chunk, from the start of the file
) STRICT;

-- The files that hostpair itself put into the shared folders. It deletes no others: those may be a person's only copy.
CREATE TABLE shared_own (
    path TEXT NOT NULL PRIMARY KEY, -- absolute, on the disk
    size INTEGER NOT NULL, -- st_size as it was put there; it and the next say whether it still is that file
    mtime_ns INTEGER NOT NULL -- st_mtim, ns since 1970
) STRICT, WITHOUT ROWID;
