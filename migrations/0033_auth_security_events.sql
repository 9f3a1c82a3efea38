-- What the owner of an account ought to hear of. The index by type is left out until something asks for
-- it. The audit does not record it row by row: it only ever grows, and `audit.auth_events` has the same.
CREATE TABLE auth.security_events (
    id uuid PRIMARY KEY,
    user_id uuid,
    session_id uuid,
    event_type varchar(50) NOT NULL,
    severity varchar(20) NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    description text,
    ip_address inet,
    user_agent text,
    device_id varchar(255),
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE auth.security_events IS 'What has to do with an account''s security; only ever grows.';
COMMENT ON COLUMN auth.security_events.session_id IS 'The session that it is about, or that it was done in.';
COMMENT ON COLUMN auth.security_events.description IS 'In words; nothing fills it yet.';
COMMENT ON COLUMN auth.security_events.metadata IS 'What else the event says.';

CREATE INDEX idx_security_events_user ON auth.security_events (user_id, created_at DESC);

ALTER TABLE auth.security_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_security_events ON auth.security_events FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.security_events FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
