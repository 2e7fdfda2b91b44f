-- What a person ordered. Kept, also when it is done, until a person removes it; ids are never used again, because part
-- files carry them in their names.
CREATE TABLE download (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- as people see it; in the names of part files
    base TEXT NOT NULL, -- the downloads folder at the time of the order, an absolute path
    path TEXT NOT NULL, -- where it lands below base: the reserved name, or the folder of a folder download
    folder INTEGER NOT NULL CHECK (folder IN (0, 1)), -- 1: a folder with everything below it
    order_host TEXT, -- id of the host it was ordered from
    order_path TEXT, -- the file or folder there
    order_root BLOB CHECK (length(order_root) = 32), -- the content that was ordered
    order_url TEXT, -- the URL that was ordered
    state TEXT NOT NULL -- of the whole download; the last three are its end, until a person wants it again
        CHECK (state IN ('queued', 'running', 'paused', 'verifying', 'done', 'failed', 'cancelled')),
    reason TEXT NOT NULL, -- why it is not going on, a sentence; ''
    error_code INTEGER NOT NULL, -- why it failed; 0
    error_detail TEXT NOT NULL, -- the words of it; ''
    note TEXT NOT NULL DEFAULT '', -- what a person should know of it besides, sentences; ''
    order_headers TEXT, -- of an order by URL: "Name: value" lines that are sent to its server; NULL none
    order_certificate TEXT -- of an order by URL: SHA-256 of the certificate that its server must show, hex; NULL: as trusted
        CHECK (length(order_certificate) = 64),
    disk_wait INTEGER NOT NULL CHECK (disk_wait IN (0, 1)), -- 1: paused by a full disk, goes on by itself
    priority INTEGER NOT NULL CHECK (priority BETWEEN -1 AND 1), -- 1 goes first
    limit_bps INTEGER NOT NULL, -- bytes a second; 0: no limit
    created_at INTEGER NOT NULL, -- wall clock, ms
    finished_at INTEGER NOT NULL, -- wall clock, ms; 0: not finished
    kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)) -- 1: in no list; its part files wait for the next order of the same
) STRICT;

-- The downloads in one state, and those that have ended, newest or oldest first.
CREATE INDEX download_state ON download (state);
CREATE INDEX download_ended ON download (id) WHERE state IN ('done', 'failed', 'cancelled');

-- What was kept of cancelled ones.
CREATE INDEX download_kept ON download (id) WHERE kept = 1;

-- Who holds a name, and what was ordered already.
CREATE INDEX download_name ON download (base, path) WHERE state NOT IN ('cancelled', 'done');
CREATE INDEX download_place ON download (order_host, order_path) WHERE order_host IS NOT NULL;
CREATE INDEX download_url ON download (order_url) WHERE order_url IS NOT NULL;

-- The files of a download; one, unless it is a folder.
CREATE TABLE download_file (
    id INTEGER PRIMARY KEY, -- in the order of the folder
    download INTEGER NOT NULL REFERENCES download (id) ON DELETE CASCADE, -- the order it belongs to
    path TEXT NOT NULL, -- where it lands below base
    source_path TEXT NOT NULL, -- the file at the host it was ordered from; '' for a URL
    state TEXT NOT NULL CHECK (state IN ('open', 'finishing', 'done', 'failed')), -- finishing: complete, being renamed
    error TEXT NOT NULL, -- why it failed, a sentence; ''
    size INTEGER, -- bytes; NULL until a source has said it
    root BLOB CHECK (length(root) = 32), -- announced by a source, or computed when it is done; NULL unknown
    chunk_size INTEGER NOT NULL, -- bytes; 0 until the size is known
    chunks_done INTEGER NOT NULL, -- rows in chunk, all of them when it is done
    verified INTEGER NOT NULL CHECK (verified IN (0, 1)), -- 1: every chunk agrees with the root that was announced
    part TEXT, -- name of the part file, beside path; NULL before there is one
    device INTEGER, -- st_dev of the part file
    inode INTEGER, -- st_ino of the part file
    boot_id TEXT, -- of the kernel while the rows in chunk were written: another one now means that they must be re-hashed
    mtime_ms INTEGER NOT NULL DEFAULT 0, -- when it was changed at the source, ms since 1970, which the file gets; 0 unknown
    replaces_ns INTEGER NOT NULL DEFAULT 0, -- st_mtim of an older version at path that it takes the place of; 0 none
    executable INTEGER NOT NULL DEFAULT 0 CHECK (executable IN (0, 1)), -- 1: it may be run at its source, and is to be here
    born_ns INTEGER NOT NULL DEFAULT 0 -- stx_btime of the part file, ns since 1970: another one with its inode has another; 0 unknown
) STRICT;

CREATE INDEX download_file_download ON download_file (download, id);
CREATE INDEX download_file_open ON download_file (download, id) WHERE state IN ('open', 'finishing');
CREATE INDEX download_file_root ON download_file (root) WHERE root IS NOT NULL;

-- Sums over the files of a download that has ended, so that lists of many downloads read none of their files. Made when
-- it ends, gone when one of its files changes: a download without a row here is summed up when it is read.
CREATE TABLE download_sum (
    download INTEGER PRIMARY KEY REFERENCES download (id) ON DELETE CASCADE, -- whose they are
    path TEXT, -- of its file; NULL for a folder
    root BLOB CHECK (length(root) = 32), -- of its file; NULL unknown, or for a folder
    files_total INTEGER NOT NULL, -- rows of download_file
    files_done INTEGER NOT NULL, -- in the state done
    files_failed INTEGER NOT NULL, -- in the state failed
    files_verified INTEGER NOT NULL, -- verified
    sizes_unknown INTEGER NOT NULL, -- without a size
    size INTEGER NOT NULL, -- bytes of the others
    done_bytes INTEGER NOT NULL, -- bytes on record
    chunks_total INTEGER NOT NULL, -- of files whose size is known
    chunks_done INTEGER NOT NULL, -- on record
    chunk_size INTEGER NOT NULL -- the largest, bytes
) STRICT;

CREATE TRIGGER download_file_added AFTER INSERT ON download_file BEGIN
    DELETE FROM download_sum WHERE download = NEW.download;
END;
CREATE TRIGGER download_file_changed AFTER UPDATE ON download_file BEGIN
    DELETE FROM download_sum WHERE download = NEW.download;
END;
CREATE TRIGGER download_file_removed AFTER DELETE ON download_file BEGIN
    DELETE FROM download_sum WHERE download = OLD.download;
END;

-- Part files of versions that are no longer wanted: they stay as long as the file is not done.
CREATE TABLE download_left (
    file INTEGER NOT NULL REFERENCES download_file (id) ON DELETE CASCADE, -- in download_file
    part TEXT NOT NULL, -- name of the part file
    device INTEGER NOT NULL, -- st_dev
    inode INTEGER NOT NULL, -- st_ino
    PRIMARY KEY (file, part)
) STRICT, WITHOUT ROWID;

-- Where a file comes from, with the validator that belongs to this path at this host.
CREATE TABLE download_source (
    id INTEGER PRIMARY KEY, -- what chunk.source says
    file INTEGER NOT NULL REFERENCES download_file (id) ON DELETE CASCADE, -- in download_file
    host TEXT NOT NULL, -- id of the host; for a URL its origin
    path TEXT NOT NULL, -- the path there, or the whole URL
    etag TEXT, -- strong, with quotes; NULL: none seen
    set_aside TEXT, -- why it is not used any more for this file, a sentence; NULL: it is used
    UNIQUE (file, host, path)
) STRICT;

-- What is known here of a file of another host.
CREATE INDEX download_source_place ON download_source (host, path);

-- One row a finished chunk: it was written to the part file before its row was.
CREATE TABLE chunk (
    file INTEGER NOT NULL REFERENCES download_file (id) ON DELETE CASCADE, -- in download_file
    number INTEGER NOT NULL, -- counts from 0
    digest BLOB NOT NULL CHECK (length(digest) = 32), -- the hash tree's node over it (BEP 52)
    source INTEGER NOT NULL, -- id in download_source; no foreign key: the row outlives its source
    PRIMARY KEY (file, number)
) STRICT, WITHOUT ROWID;

-- Keep download_file.chunks_done right.
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done + 1 WHERE id = NEW.file;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done - 1 WHERE id = OLD.file;
END;
