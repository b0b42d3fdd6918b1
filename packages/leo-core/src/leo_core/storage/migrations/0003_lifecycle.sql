-- What eviction looks at, source documents, and the seals by which LEO knows its own entries again.
-- Entries of before carry no seal, so that nobody can tell who wrote them: they go. Foreign keys are off here.

DELETE FROM tags;
DELETE FROM questions;
DELETE FROM entries;

ALTER TABLE entries ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entries ADD COLUMN cost_usd REAL;                    -- NULL when unknown
ALTER TABLE entries ADD COLUMN created_at REAL NOT NULL DEFAULT 0;
ALTER TABLE questions ADD COLUMN seal TEXT NOT NULL DEFAULT '';  -- opaque; empty without one
CREATE INDEX entries_by_expiry ON entries (tenant, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sources (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    entry INTEGER NOT NULL REFERENCES entries (row) ON DELETE CASCADE,
    PRIMARY KEY (tenant, source, entry)
) WITHOUT ROWID;
CREATE INDEX sources_by_entry ON sources (entry);
