-- Folders that are shared besides the main one, in place.

CREATE TABLE shared_place (
    name TEXT NOT NULL PRIMARY KEY,
    path TEXT NOT NULL,
    device INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
