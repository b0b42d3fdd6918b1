-- Entries, the questions that lead to them, observations and states.
-- A text that is not valid Unicode (it holds an unpaired surrogate) is a blob here, every other one is text.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE entries (
    row INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    model TEXT NOT NULL,
    expires_at REAL,               -- seconds since the epoch; NULL for never
    hits INTEGER NOT NULL,
    body TEXT NOT NULL,            -- JSON of the whole entry but for its hits
    UNIQUE (tenant, id)
);
CREATE INDEX entries_by_model ON entries (tenant, model);

CREATE TABLE tags (
    tenant TEXT NOT NULL,
    tag TEXT NOT NULL,
    entry INTEGER NOT NULL REFERENCES entries (row) ON DELETE CASCADE,
    PRIMARY KEY (tenant, tag, entry)
) WITHOUT ROWID;
CREATE INDEX tags_by_entry ON tags (entry);

-- The question that an entry answers, and its verified paraphrases. Numbers are never used twice, so that
-- "above the last one I saw" finds every new row.
CREATE TABLE questions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    entry INTEGER NOT NULL REFERENCES entries (row) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    exact_key TEXT NOT NULL,
    scope_key TEXT NOT NULL,
    own INTEGER NOT NULL,          -- 1 for the entry's own question, 0 for a paraphrase
    text TEXT NOT NULL,
    vector BLOB,                   -- little-endian float32; NULL for an entry that matches exactly only
    UNIQUE (tenant, exact_key)
);
CREATE INDEX questions_by_entry ON questions (entry);
CREATE INDEX questions_by_scope ON questions (tenant, scope_key) WHERE vector IS NOT NULL;

-- The last removals, so that other processes drop those vectors instead of loading all of them again.
CREATE TABLE removals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    question INTEGER NOT NULL
);
CREATE TRIGGER questions_removed AFTER DELETE ON questions WHEN old.vector IS NOT NULL
BEGIN
    INSERT INTO removals (question) VALUES (old.row);
END;

CREATE TABLE observations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    body TEXT NOT NULL             -- JSON of the whole observation
);
CREATE INDEX observations_by_tenant ON observations (tenant);

CREATE TABLE states (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (tenant, name)
);
