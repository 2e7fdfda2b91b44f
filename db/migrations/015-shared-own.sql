-- Which files in the shared folders hostpair itself put there: it deletes no others.

CREATE TABLE shared_own (
    path TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
