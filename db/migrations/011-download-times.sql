-- When a file was changed at its source, which it keeps here; and which older version of it here gives way to it.

ALTER TABLE download_file ADD COLUMN mtime_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE download_file ADD COLUMN replaces_ns INTEGER NOT NULL DEFAULT 0;
