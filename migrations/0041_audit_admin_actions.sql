-- What operators, administrators and moderators did about the accounts of others. What it says of
-- `audit.record_changes` holds here too: no index that nothing asks for yet.
CREATE TABLE audit.admin_actions (
    id uuid PRIMARY KEY,
    admin_user_id uuid,
    actor text,
    action varchar(100) NOT NULL,
    resource_type varchar(50) NOT NULL,
    resource_id uuid,
    target_user_id uuid,
    details jsonb NOT NULL,
    reason text,
    ip_address inet,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.admin_actions IS 'What was done about the accounts of others, and by whom; only ever grows.';
COMMENT ON COLUMN audit.admin_actions.admin_user_id IS 'Who did it; NULL: a service.';
COMMENT ON COLUMN audit.admin_actions.actor IS 'The user or the service, as in the log.';
COMMENT ON COLUMN audit.admin_actions.details IS 'How; never a hash.';

CREATE INDEX idx_admin_actions_admin ON audit.admin_actions (admin_user_id, created_at DESC);
CREATE INDEX idx_admin_actions_resource ON audit.admin_actions (resource_type, resource_id);

ALTER TABLE audit.admin_actions ENABLE ROW LEVEL SECURITY;
CREATE POLICY admin_full_access ON audit.admin_actions FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
