-- Roots are 32 bytes everywhere, states are text with a CHECK everywhere; downloads get the indices that their look-ups
-- follow, and the sums of those that have ended. The time of a chunk goes: nothing reads it.
--
-- A row that no hostpair has written (a missing value where there must be one, an unknown state) is left out: it could
-- not be read either.

DROP TRIGGER chunk_added;
DROP TRIGGER chunk_removed;
ALTER TABLE chunk DROP COLUMN at;

CREATE TABLE new_download (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    base TEXT NOT NULL,
    path TEXT NOT NULL,
    folder INTEGER NOT NULL CHECK (folder IN (0, 1)),
    order_host TEXT,
    order_path TEXT,
    order_root BLOB CHECK (length(order_root) = 32),
    order_url TEXT,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'paused', 'verifying', 'done', 'failed', 'cancelled')),
    reason TEXT NOT NULL,
    error_code INTEGER NOT NULL,
    error_detail TEXT NOT NULL,
    disk_wait INTEGER NOT NULL CHECK (disk_wait IN (0, 1)),
    priority INTEGER NOT NULL CHECK (priority BETWEEN -1 AND 1),
    limit_bps INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO new_download (
    id, base, path, folder, order_host, order_path, order_root, order_url, state, reason, error_code, error_detail,
    disk_wait, priority, limit_bps, created_at, finished_at)
SELECT
    id, base, path, folder, order_host, order_path, hp_unhex(order_root), order_url, state, reason, error_code,
    error_detail, disk_wait, priority, limit_bps, created_at, finished_at
FROM download ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'new_download';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_download', seq FROM sqlite_sequence WHERE name = 'download';
DROP TABLE download;
ALTER TABLE new_download RENAME TO download;
CREATE INDEX download_state ON download (state);
CREATE INDEX download_ended ON download (id) WHERE state IN ('done', 'failed', 'cancelled');
CREATE INDEX download_name ON download (base, path) WHERE state NOT IN ('cancelled', 'done');
CREATE INDEX download_place ON download (order_host, order_path) WHERE order_host IS NOT NULL;
CREATE INDEX download_url ON download (order_url) WHERE order_url IS NOT NULL;

CREATE TABLE new_download_file (
    id INTEGER PRIMARY KEY,
    download INTEGER NOT NULL REFERENCES download (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    source_path TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'finishing', 'done', 'failed')),
    error TEXT NOT NULL,
    size INTEGER,
    root BLOB CHECK (length(root) = 32),
    chunk_size INTEGER NOT NULL,
    chunks_done INTEGER NOT NULL,
    verified INTEGER NOT NULL CHECK (verified IN (0, 1)),
    part TEXT,
    device INTEGER,
    inode INTEGER,
    boot_id TEXT
) STRICT;
INSERT OR IGNORE INTO new_download_file (
    id, download, path, source_path, state, error, size, root, chunk_size, chunks_done, verified, part, device, inode,
    boot_id)
SELECT
    id, download, path, source_path, state, error, size, hp_unhex(root), chunk_size, chunks_done, verified, part,
    device, inode, boot_id
FROM download_file ORDER BY id;
DROP TABLE download_file;
ALTER TABLE new_download_file RENAME TO download_file;
DELETE FROM download_file WHERE download NOT IN (SELECT id FROM download);
DELETE FROM download_left WHERE file NOT IN (SELECT id FROM download_file);
DELETE FROM download_source WHERE file NOT IN (SELECT id FROM download_file);
DELETE FROM chunk WHERE file NOT IN (SELECT id FROM download_file);
CREATE INDEX download_file_download ON download_file (download, id);
CREATE INDEX download_file_open ON download_file (download, id) WHERE state IN ('open', 'finishing');
CREATE INDEX download_file_root ON download_file (root) WHERE root IS NOT NULL;

CREATE TABLE download_sum (
    download INTEGER PRIMARY KEY REFERENCES download (id) ON DELETE CASCADE,
    path TEXT,
    root BLOB CHECK (length(root) = 32),
    files_total INTEGER NOT NULL,
    files_done INTEGER NOT NULL,
    files_failed INTEGER NOT NULL,
    files_verified INTEGER NOT NULL,
    sizes_unknown INTEGER NOT NULL,
    size INTEGER NOT NULL,
    done_bytes INTEGER NOT NULL,
    chunks_total INTEGER NOT NULL,
    chunks_done INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL
) STRICT;
INSERT INTO download_sum (
    download, path, root, files_total, files_done, files_failed, files_verified, sizes_unknown, size, done_bytes,
    chunks_total, chunks_done, chunk_size)
SELECT d.id,
    CASE WHEN d.folder THEN NULL ELSE max(f.path) END,
    CASE WHEN d.folder THEN NULL ELSE max(f.root) END,
    count(f.id),
    CAST(total(f.state = 'done') AS INTEGER),
    CAST(total(f.state = 'failed') AS INTEGER),
    CAST(total(f.verified) AS INTEGER),
    CAST(total(f.id IS NOT NULL AND f.size IS NULL) AS INTEGER),
    CAST(total(f.size) AS INTEGER),
    CAST(total(CASE WHEN f.state = 'done' THEN ifnull(f.size, 0)
        ELSE min(f.chunks_done * f.chunk_size, ifnull(f.size, 0)) END) AS INTEGER),
    CAST(total(CASE WHEN f.chunk_size > 0 THEN f.size / f.chunk_size + (f.size % f.chunk_size > 0) ELSE 0 END) AS INTEGER),
    CAST(total(CASE WHEN f.state = 'done' AND f.chunk_size > 0
        THEN ifnull(f.size / f.chunk_size + (f.size % f.chunk_size > 0), 0) ELSE f.chunks_done END) AS INTEGER),
    ifnull(max(f.chunk_size), 0)
FROM download d LEFT JOIN download_file f ON f.download = d.id
WHERE d.state IN ('done', 'failed', 'cancelled') GROUP BY d.id;
CREATE TRIGGER download_file_added AFTER INSERT ON download_file BEGIN
    DELETE FROM download_sum WHERE download = NEW.download;
END;
CREATE TRIGGER download_file_changed AFTER UPDATE ON download_file BEGIN
    DELETE FROM download_sum WHERE download = NEW.download;
END;
CREATE TRIGGER download_file_removed AFTER DELETE ON download_file BEGIN
    DELETE FROM download_sum WHERE download = OLD.download;
END;
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done + 1 WHERE id = NEW.file;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done - 1 WHERE id = OLD.file;
END;

ALTER TABLE message ADD COLUMN offer_digest BLOB CHECK (length(offer_digest) = 32);
UPDATE message SET offer_digest = hp_unhex(offer_root) WHERE offer_root IS NOT NULL;
ALTER TABLE message DROP COLUMN offer_root;
ALTER TABLE message RENAME COLUMN offer_digest TO offer_root;
CREATE INDEX message_recipient ON message (recipient);

CREATE TABLE new_remote_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('building', 'shown', 'dropped')),
    etag TEXT,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO new_remote_list (
    id, host, state, etag, files, bytes, fetched_at)
SELECT
    id, host, CASE state WHEN 0 THEN 'building' WHEN 1 THEN 'shown' ELSE 'dropped' END, etag, files, bytes, fetched_at
FROM remote_list ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'new_remote_list';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_remote_list', seq FROM sqlite_sequence WHERE name = 'remote_list';
DROP TABLE remote_list;
ALTER TABLE new_remote_list RENAME TO remote_list;
CREATE INDEX remote_list_host ON remote_list (host, state);
CREATE INDEX remote_list_state ON remote_list (state);

CREATE TABLE new_remote_file (
    id INTEGER PRIMARY KEY,
    folder INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    size INTEGER,
    mtime INTEGER,
    root BLOB CHECK (length(root) = 32)
) STRICT;
INSERT OR IGNORE INTO new_remote_file (
    id, folder, name, size, mtime, root)
SELECT
    id, folder, name, size, mtime, root
FROM remote_file ORDER BY id;
DROP TABLE remote_file;
ALTER TABLE new_remote_file RENAME TO remote_file;
CREATE INDEX remote_file_name ON remote_file (folder, name);
