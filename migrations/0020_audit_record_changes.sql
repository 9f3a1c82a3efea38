-- Who changed which row, with the row before and after. One partition per month of event time;
-- the projector makes them as events come. The one index is the key: it also finds the last record
-- of a row, which is the before-image of the next. An index by user is left out until something
-- asks for it: each one costs every change.
CREATE TABLE audit.record_changes (
    id uuid NOT NULL,
    schema_name varchar(63) NOT NULL,
    table_name varchar(63) NOT NULL,
    record_id uuid NOT NULL,
    conversation_id uuid,
    operation varchar(10) NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    old_data jsonb,
    new_data jsonb,
    changed_fields text[],
    actor text,
    user_id uuid,
    session_id uuid,
    transaction_id text,
    command_id uuid,
    event_id uuid NOT NULL,
    event_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (record_id, table_name, event_seq, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE audit.record_changes IS
    'Changes of facts, row by row; only ever grows. Counters, cursors and other derived numbers are not recorded: they follow from what is. Secrets are shown as [redacted].';
COMMENT ON COLUMN audit.record_changes.record_id IS 'The row''s id.';
COMMENT ON COLUMN audit.record_changes.conversation_id IS 'For rows of schema messages: the id of a message is unique in its conversation only.';
COMMENT ON COLUMN audit.record_changes.old_data IS 'The row before, as the previous record left it.';
COMMENT ON COLUMN audit.record_changes.changed_fields IS 'Columns that differ, sorted; NULL but for an UPDATE.';
COMMENT ON COLUMN audit.record_changes.actor IS 'Who sent the command: a user''s id, `anon-…` or `svc-…`.';
COMMENT ON COLUMN audit.record_changes.user_id IS 'The actor, where it is a user.';
COMMENT ON COLUMN audit.record_changes.transaction_id IS 'The command''s id as text: what a command changes is changed at once.';
