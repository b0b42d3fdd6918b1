-- The log of receipts (RFC 6962). Rows of receipts and receipt_nodes are never changed or removed.

CREATE TABLE receipts (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    answer_id TEXT NOT NULL UNIQUE,
    envelope BLOB NOT NULL
);

CREATE TABLE receipt_nodes (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) WITHOUT ROWID;

CREATE TABLE receipt_head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    checkpoint TEXT NOT NULL
);

CREATE TABLE receipt_openings (
    position INTEGER PRIMARY KEY REFERENCES receipts (position),
    body TEXT NOT NULL
);
