-- Who looked at what is nobody's business. Whom it is about may see it.
CREATE TABLE audit.sensitive_data_access (
    id uuid PRIMARY KEY,
    user_id uuid,
    actor text,
    subject_user_id uuid,
    data_type varchar(50) NOT NULL,
    resource_type varchar(50),
    resource_id uuid,
    access_type varchar(20) NOT NULL CHECK (access_type IN ('read', 'export', 'decrypt', 'update')),
    purpose text,
    session_id uuid,
    ip_address inet,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.sensitive_data_access IS 'Who looked at the personal data of others, and what for; only ever grows.';
COMMENT ON COLUMN audit.sensitive_data_access.user_id IS 'Who looked; NULL: a service.';
COMMENT ON COLUMN audit.sensitive_data_access.actor IS 'The user or the service, as in the log.';
COMMENT ON COLUMN audit.sensitive_data_access.subject_user_id IS 'Whose data it is.';
COMMENT ON COLUMN audit.sensitive_data_access.data_type IS 'What was looked at, in a word.';

CREATE INDEX idx_sensitive_access_subject ON audit.sensitive_data_access (subject_user_id, created_at DESC);

ALTER TABLE audit.sensitive_data_access ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_sensitive_access ON audit.sensitive_data_access FOR SELECT TO echolog_reader
    USING (subject_user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON audit.sensitive_data_access FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
