-- Everything that has to do with who gets in.
CREATE TABLE audit.auth_events (
    id uuid PRIMARY KEY,
    user_id uuid,
    event_type varchar(50) NOT NULL,
    identifier varchar(255),
    session_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE audit.auth_events IS 'The trail of authentication, registrations included; only ever grows.';
COMMENT ON COLUMN audit.auth_events.identifier IS 'The username, e-mail address or phone number that was used.';

CREATE INDEX idx_auth_events_user ON audit.auth_events (user_id, created_at DESC);
