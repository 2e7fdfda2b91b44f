-- What a person should know of a download even when it went well: that the disk did not take a name, for instance.

ALTER TABLE download ADD COLUMN note TEXT NOT NULL DEFAULT '';
