-- By which processes wait for each other's equal requests instead of asking the members twice.

CREATE TABLE leases (
    name TEXT PRIMARY KEY,         -- SHA-256 of the request's key, in hex
    owner TEXT NOT NULL,
    expires_at REAL NOT NULL       -- seconds since the epoch
) WITHOUT ROWID;
