-- What a person ordered. Kept, also when it is done, until a person removes it; ids are never used again, because part
-- files carry them in their names.
CREATE TABLE download (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- as people see it; in the names of part files
    base TEXT NOT NULL, -- the downloads folder at the time of the order, an absolute path
    path TEXT NOT NULL, -- where it lands below base: the reserved name, or the folder of a folder download
    folder INTEGER NOT NULL CHECK (folder IN (0, 1)), -- 1: a folder with everything below it
    order_host TEXT, -- id of the host it was ordered from
    order_path TEXT, -- the file or folder there
    order_root TEXT, -- the content that was ordered, 64 hex digits
    order_url TEXT, -- the URL that was ordered
    state TEXT NOT NULL, -- queued, running, paused, verifying, done, failed, cancelled
    reason TEXT NOT NULL, -- why it is not going on, a sentence; ''
    error_code INTEGER NOT NULL, -- why it failed; 0
    error_detail TEXT NOT NULL, -- the words of it; ''
    disk_wait INTEGER NOT NULL CHECK (disk_wait IN (0, 1)), -- 1: paused by a full disk, goes on by itself
    priority INTEGER NOT NULL CHECK (priority BETWEEN -1 AND 1), -- 1 goes first
    limit_bps INTEGER NOT NULL, -- bytes a second; 0: no limit
    created_at INTEGER NOT NULL, -- wall clock, ms
    finished_at INTEGER NOT NULL -- wall clock, ms; 0: not finished
) STRICT;

-- The files of a download; one, unless it is a folder.
CREATE TABLE download_file (
    id INTEGER PRIMARY KEY, -- in the order of the folder
    download INTEGER NOT NULL REFERENCES download (id) ON DELETE CASCADE, -- the order it belongs to
    path TEXT NOT NULL, -- where it lands below base
    source_path TEXT NOT NULL, -- the file at the host it was ordered from; '' for a URL
    state TEXT NOT NULL, -- open, finishing (complete, being renamed), done, failed
    error TEXT NOT NULL, -- why it failed, a sentence; ''
    size INTEGER, -- bytes; NULL until a source has said it
    root TEXT, -- 64 hex digits; announced by a source, or computed when it is done; NULL unknown
    chunk_size INTEGER NOT NULL, -- bytes; 0 until the size is known
    chunks_done INTEGER NOT NULL, -- rows in chunk, all of them when it is done
    verified INTEGER NOT NULL CHECK (verified IN (0, 1)), -- 1: every chunk agrees with the root that was announced
    part TEXT, -- name of the part file, beside path; NULL before there is one
    device INTEGER, -- st_dev of the part file
    inode INTEGER, -- st_ino of the part file
    boot_id TEXT -- of the kernel while the rows in chunk were written: another one now means that they must be re-hashed
) STRICT;

CREATE INDEX download_file_download ON download_file (download, id);
CREATE INDEX download_file_open ON download_file (download, id) WHERE state IN ('open', 'finishing');
CREATE INDEX download_file_root ON download_file (root) WHERE root IS NOT NULL;

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
    at INTEGER NOT NULL, -- wall clock, ms
    PRIMARY KEY (file, number)
) STRICT, WITHOUT ROWID;

-- Keep download_file.chunks_done right.
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done + 1 WHERE id = NEW.file;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    UPDATE download_file SET chunks_done = chunks_done - 1 WHERE id = OLD.file;
END;
-- Other hosts that were found at least once. A host stays until a person removes it.
CREATE TABLE host (
    id TEXT NOT NULL PRIMARY KEY, -- 32 lower-case hex digits, or "addr-<ip>-<port>" for a host without an id
    name TEXT NOT NULL,           -- as it calls itself; text of a stranger
    protocol INTEGER NOT NULL,    -- 1, or 0 for a plain web server that knows only /hostpair and /list
    found_by TEXT NOT NULL,       -- scan, beacon, hand or message: how it was found the first time
    instance TEXT NOT NULL,       -- of its last start that was seen; '' unknown
    files INTEGER,                -- what it said it offers; NULL unknown
    bytes INTEGER,                -- what it said its files hold in all; NULL unknown
    first_seen INTEGER NOT NULL,  -- wall clock, ms
    last_seen INTEGER NOT NULL,   -- wall clock, ms
    blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)) -- 1: a person shut it out of the peer listener
) STRICT;

-- Where a host answered. The address that answered last is tried first.
CREATE TABLE host_address (
    host TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE, -- whose it is
    address TEXT NOT NULL,        -- numeric; a link-local IPv6 address with %interface
    port INTEGER NOT NULL,        -- of its peer listener
    answered_at INTEGER NOT NULL, -- wall clock, ms
    PRIMARY KEY (host, address, port)
) STRICT, WITHOUT ROWID;
-- Messages that people sent each other, both ways.
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- the API's id; counts up in the order of arrival, never used again
    uid TEXT NOT NULL, -- the id that the sending host gave it
    host TEXT NOT NULL, -- the sending host's id; our own id for what we sent
    name TEXT NOT NULL, -- the sender's name at that time
    recipient TEXT NOT NULL, -- a host id, or 'everyone'; our own id for what we received
    incoming INTEGER NOT NULL CHECK (incoming IN (0, 1)), -- 1: received
    text TEXT NOT NULL, -- at most 4000 code points; '' only beside an offer
    offer_path TEXT, -- a file that the sender offers with it, by its path in the sender's share; NULL none
    offer_size INTEGER, -- bytes of that file; NULL without an offer
    offer_root TEXT, -- its root, 64 hex digits; NULL unknown, or without an offer
    unread INTEGER NOT NULL DEFAULT 0 CHECK (unread IN (0, 1)), -- 1: received, and no person has seen it yet
    sent_at INTEGER NOT NULL, -- the sender's clock, ms since 1970
    received_at INTEGER NOT NULL, -- our clock when it was stored, ms since 1970
    UNIQUE (host, uid) -- one that is sent again is the same message
) STRICT;

-- Where an outgoing message stands with each host that it goes to.
CREATE TABLE message_delivery (
    message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE, -- which message
    host TEXT NOT NULL, -- the id of the host that is to get it; kept when the host is forgotten
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')), -- as in the API
    reason TEXT NOT NULL DEFAULT '', -- why it failed, a sentence
    at INTEGER NOT NULL, -- when the state last changed, ms since 1970
    PRIMARY KEY (message, host)
) STRICT, WITHOUT ROWID;

-- What a host has said, and what it was sent.
CREATE INDEX message_incoming ON message (host, id) WHERE incoming = 1;
CREATE INDEX message_delivery_host ON message_delivery (host, message);

-- What nobody has seen yet, by sender.
CREATE INDEX message_unread ON message (host, id) WHERE unread = 1;

-- What waits for a host that comes online.
CREATE INDEX message_delivery_queued ON message_delivery (host, message) WHERE state = 'queued';
-- What other hosts offer, as their lists said when they were last fetched. db/remote_file.h has the whole idea.
--
-- A list is built beside the one that is shown and takes its place in one transaction; rows of lists that are not
-- shown any more are removed in small steps. Every folder and file of a list is an entry with a number that counts
-- from 0 (the top folder); id = list * 2^32 + number.

CREATE TABLE remote_list (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, so an old id never means a new row
    host TEXT NOT NULL,                   -- host.id; no reference: the rows outlive the host until they are swept
    state INTEGER NOT NULL,               -- 0 is being built, 1 shown, 2 to be removed
    etag TEXT,                            -- validator of the whole list; NULL none
    files INTEGER NOT NULL,               -- rows of remote_file
    bytes INTEGER NOT NULL,               -- of the files whose size is known
    fetched_at INTEGER NOT NULL           -- wall clock, ms
) STRICT;
CREATE INDEX remote_list_host ON remote_list (host, state);

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
    root BLOB                -- 32 bytes; NULL unhashed or empty
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
-- Who this host is. One row, made at the first start.
CREATE TABLE self (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    id TEXT NOT NULL CHECK (length(id) = 32), -- 16 random bytes in lower-case hex, made once
    created_at INTEGER NOT NULL -- when the id was made, ms since 1970
) STRICT;

-- What a person has set on the settings page. What is missing here has its default.
CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY, -- as in the API: 'running_downloads'
    value TEXT NOT NULL -- as text: '3', 'true', '/srv/files'
) STRICT, WITHOUT ROWID;
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

-- The index of the shared folder: every file that other hosts may see, with the hash of its content once it is known.
CREATE TABLE shared_file (
    id INTEGER PRIMARY KEY, -- a walk ticks off the rows that it meets by this number
    path TEXT NOT NULL UNIQUE, -- from the top of the shared folder, '/' between segments; lists go by its bytes
    device INTEGER NOT NULL, -- st_dev; it and the next four say which bytes root belongs to
    inode INTEGER NOT NULL, -- st_ino
    size INTEGER NOT NULL, -- st_size
    mtime_ns INTEGER NOT NULL, -- st_mtim, ns since 1970
    ctime_ns INTEGER NOT NULL, -- st_ctim, ns since 1970
    root BLOB CHECK (length(root) = 32), -- pieces root of these bytes (BEP 52); NULL unhashed or empty
    hash_after INTEGER NOT NULL DEFAULT 0 -- not to be hashed before this time, ms since 1970; 0 whenever there is time
) STRICT;

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
-- Bytes of file contents a minute, for the graphs. Minutes without traffic have no row.
CREATE TABLE traffic (
    minute INTEGER PRIMARY KEY, -- minutes since 1970 UTC
    down_bytes INTEGER NOT NULL, -- received from other hosts
    up_bytes INTEGER NOT NULL -- sent to other hosts
) STRICT;
