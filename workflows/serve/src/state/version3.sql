-- Items in the order in which pages show them, of all collections and of one; those without a date come last.
CREATE INDEX result_in_order ON result (coalesce(start, -9223372036854775807), seq) WHERE replaced = 0;
CREATE INDEX result_of_collection ON result (collection, coalesce(start, -9223372036854775807), seq) WHERE replaced = 0;
DROP INDEX result_by_time;

-- How far a poll was held up is in its cursor.
ALTER TABLE trigger_state DROP COLUMN held;
