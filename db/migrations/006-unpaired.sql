-- A person may end a pairing while the other host is away: what it has still to be told is kept until it is back.

ALTER TABLE host ADD COLUMN unpaired_at INTEGER CHECK (unpaired_at IS NULL OR paired_at IS NULL);
