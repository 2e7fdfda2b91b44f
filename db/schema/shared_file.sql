-- The index of the shared folder: every file that other hosts may see, with the hash of its content once it is known.
CREATE TABLE shared_file (
    path TEXT NOT NULL PRIMARY KEY, -- from the top of the shared folder, '/' between segments; lists go by its bytes
    device INTEGER NOT NULL, -- st_dev; it and the next four say which bytes root belongs to
    inode INTEGER NOT NULL, -- st_ino
    size INTEGER NOT NULL, -- st_size
    mtime_ns INTEGER NOT NULL, -- st_mtim, ns since 1970
    ctime_ns INTEGER NOT NULL, -- st_ctim, ns since 1970
    root BLOB CHECK (length(root) = 32), -- pieces root of these bytes (BEP 52); NULL unhashed or empty
    hashed INTEGER NOT NULL CHECK (hashed IN (0, 1)) -- 1: root is right, also when it is NULL for an empty file
) STRICT, WITHOUT ROWID;

-- Where a content is.
CREATE INDEX shared_file_root ON shared_file (root) WHERE root IS NOT NULL;

-- What is still to be hashed: newest and smallest first.
CREATE INDEX shared_file_unhashed ON shared_file (mtime_ns DESC, size) WHERE hashed = 0;
