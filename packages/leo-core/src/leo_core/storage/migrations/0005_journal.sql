-- Intents before the members are asked and results after, so that a retried request is answered once.

CREATE TABLE journal (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,             -- the caller's idempotency key
    digest TEXT NOT NULL,          -- SHA-256 of the request, in hex
    began_at REAL NOT NULL,        -- seconds since the epoch
    result TEXT,                   -- JSON; NULL while the members are asked
    receipt_id TEXT,               -- NULL until the receipt is in the log; empty where there is none
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;

CREATE INDEX journal_by_age ON journal (began_at);
CREATE INDEX journal_unsettled ON journal (began_at) WHERE result IS NOT NULL AND receipt_id IS NULL;
