-- What is spent and reserved of budgets, in whole nano-dollars.

CREATE TABLE budget_accounts (
    budget TEXT NOT NULL,
    tenant TEXT NOT NULL,          -- empty for a budget of all tenants together
    owner TEXT NOT NULL,           -- pseudonym of a user or session; empty for a whole tenant
    begins_at REAL NOT NULL,       -- seconds since the epoch
    ends_at REAL,                  -- NULL for never
    spending_limit INTEGER NOT NULL, -- that it was last used with
    spent INTEGER NOT NULL,        -- by settled calls
    PRIMARY KEY (budget, tenant, owner, begins_at)
) WITHOUT ROWID;
CREATE INDEX budget_accounts_by_end ON budget_accounts (ends_at);

CREATE TABLE budget_reservations (
    budget TEXT NOT NULL,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    begins_at REAL NOT NULL,
    id TEXT NOT NULL,
    amount INTEGER NOT NULL,
    expires_at REAL NOT NULL,      -- from then on it counts as spent
    PRIMARY KEY (budget, tenant, owner, begins_at, id),
    FOREIGN KEY (budget, tenant, owner, begins_at)
        REFERENCES budget_accounts (budget, tenant, owner, begins_at) ON DELETE CASCADE
) WITHOUT ROWID;
