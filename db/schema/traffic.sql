-- Bytes of file contents a minute, for the graphs. Minutes without traffic have no row.
CREATE TABLE traffic (
    minute INTEGER PRIMARY KEY, -- minutes since 1970 UTC
    down_bytes INTEGER NOT NULL, -- received from other hosts
    up_bytes INTEGER NOT NULL -- sent to other hosts
) STRICT;
