-- Moments are milliseconds since 1970 in UTC.

CREATE TABLE workflow (
    name TEXT PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How far a trigger has looked.
CREATE TABLE trigger_state (
    workflow TEXT NOT NULL,
    name TEXT NOT NULL,
    cursor TEXT,
    looked_at INTEGER,
    next_at INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    PRIMARY KEY (workflow, name)
) STRICT;

-- What triggers found. The id follows from the content, so what is found again is known.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    subject TEXT NOT NULL,
    part TEXT NOT NULL,
    version TEXT NOT NULL,
    start TEXT,
    finish TEXT,
    payload TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    group_key TEXT NOT NULL,
    generation INTEGER NOT NULL
) STRICT;
CREATE INDEX event_of_group ON event (workflow, trigger, group_key, generation, part);

-- Events that are to be run together. Of one key there may be several, one after the other.
CREATE TABLE event_group (
    workflow TEXT NOT NULL,
    trigger TEXT NOT NULL,
    group_key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'dropped')),
    rule TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    check_at INTEGER NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (workflow, trigger, group_key, generation)
) STRICT;
CREATE INDEX group_to_check ON event_group (check_at) WHERE state = 'open';

CREATE TABLE run (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    trigger TEXT,
    group_key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'parked', 'done', 'partial', 'dead', 'cancelled')),
    params TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    memory INTEGER NOT NULL DEFAULT 0,
    most_attempts INTEGER NOT NULL DEFAULT 5,
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    anew INTEGER NOT NULL DEFAULT 1,
    not_before INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    error TEXT
) STRICT;
CREATE INDEX run_queue ON run (priority DESC, seq) WHERE state IN ('queued', 'parked');
CREATE INDEX run_by_state ON run (state, seq);
CREATE INDEX run_by_workflow ON run (workflow, seq);

-- What runs wrote. Of a collection and item there is one that stands; a newer one takes its place.
CREATE TABLE result (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL REFERENCES run (id),
    workflow TEXT NOT NULL,
    collection TEXT NOT NULL,
    item_id TEXT NOT NULL,
    item TEXT NOT NULL,
    href TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    replaced INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX result_that_stands ON result (collection, item_id) WHERE replaced = 0;
CREATE INDEX result_of_run ON result (run);
