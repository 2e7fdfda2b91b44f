-- Which files are executable, and the empty folders of the share. Lists that are here already say neither: they are
-- fetched anew. When a part file was made, which tells it from a later one with the same inode.

ALTER TABLE shared_file ADD COLUMN executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1));
CREATE TABLE shared_folder (
    path TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
ALTER TABLE remote_file ADD COLUMN executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1));
UPDATE remote_list SET etag = NULL;
ALTER TABLE download_file ADD COLUMN executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1));
ALTER TABLE download_file ADD COLUMN born_ns INTEGER NOT NULL DEFAULT 0;
