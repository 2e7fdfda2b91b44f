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
    offer_root BLOB CHECK (length(offer_root) = 32), -- its root; NULL unknown, or without an offer
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

-- What went to one host, or to everyone.
CREATE INDEX message_recipient ON message (recipient);

-- What nobody has seen yet, by sender.
CREATE INDEX message_unread ON message (host, id) WHERE unread = 1;

-- What waits for a host that comes online.
CREATE INDEX message_delivery_queued ON message_delivery (host, message) WHERE state = 'queued';
