-- A person may add a host by its name: it is kept and looked up again when the host's addresses stop answering.

ALTER TABLE host ADD COLUMN added_as TEXT;
