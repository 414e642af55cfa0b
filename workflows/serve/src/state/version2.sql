-- Where and when a result is, so that items are searched without reading them all.
ALTER TABLE result ADD COLUMN start INTEGER;
ALTER TABLE result ADD COLUMN finish INTEGER;
ALTER TABLE result ADD COLUMN west REAL;
ALTER TABLE result ADD COLUMN south REAL;
ALTER TABLE result ADD COLUMN east REAL;
ALTER TABLE result ADD COLUMN north REAL;
CREATE INDEX result_by_time ON result (collection, start) WHERE replaced = 0;

-- What a trigger met and could not use.
CREATE TABLE skip (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT;

-- Whether what a run was given and said was let go.
ALTER TABLE run ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_to_prune ON run (ended_at) WHERE pruned = 0;
