-- What is here of a download that a person cancelled and kept: the next order of the same goes on with it.

ALTER TABLE download ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1));
CREATE INDEX download_kept ON download (id) WHERE kept = 1;
