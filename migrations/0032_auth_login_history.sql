-- Who tried to log in. Indexes left out: `success` (two values) and `identifier` (until something asks for
-- it). The audit does not record it row by row: it only ever grows, and `audit.auth_events` has the same.
CREATE TABLE auth.login_history (
    id uuid PRIMARY KEY,
    user_id uuid,
    identifier varchar(255) NOT NULL,
    identifier_type varchar(20) NOT NULL
        CHECK (identifier_type IN ('email', 'phone', 'username', 'oauth', 'api_key')),
    success boolean NOT NULL,
    failure_reason varchar(100),
    ip_address inet,
    user_agent text,
    device_id varchar(255),
    location jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT chk_login_history_failure CHECK (success = (failure_reason IS NULL))
);
COMMENT ON TABLE auth.login_history IS 'Every attempt to log in; only ever grows.';
COMMENT ON COLUMN auth.login_history.user_id IS 'NULL where nobody has the name.';
COMMENT ON COLUMN auth.login_history.identifier IS 'As in the account; where nobody has the name, a keyed hash of it: people type passwords here.';
COMMENT ON COLUMN auth.login_history.location IS 'Where ip_address is; nothing fills it yet.';

CREATE INDEX idx_login_history_user_id ON auth.login_history (user_id);
CREATE INDEX idx_login_history_created_at ON auth.login_history (created_at DESC);

ALTER TABLE auth.login_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_login_history ON auth.login_history FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.login_history FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
