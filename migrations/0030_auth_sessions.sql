-- Sessions. A client chooses a session's id, so the id is unique for its user only: nobody can be in the
-- way of somebody else's. The two tokens are SHA-256 of 256 random bits; no two are the same, so they
-- may be UNIQUE, though partitions are applied side by side.
--
-- That a user has one live session per device is decided in the log and not repeated here as UNIQUE:
-- a key would set the account aside where `echolog verify` can tell. Left out of what could be
-- indexed: the tokens once more (they have their keys), `user_id` alone (two others begin with it)
-- and `device_id` alone (a device is asked for with its user).
--
-- The audit records sessions row by row, but not `last_activity_at`, which is derived, nor that one
-- hash took the place of another: both are shown as [redacted]. Of `auth.users` it records lock and
-- unlock, not `failed_login_attempts` and `last_login_at`: they follow from `auth.login_history`.
CREATE TABLE auth.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    session_token text NOT NULL UNIQUE,
    refresh_token text UNIQUE,
    device_id varchar(255) NOT NULL,
    device_name varchar(255),
    device_type varchar(50) CHECK (device_type IN ('mobile', 'tablet', 'desktop', 'web')),
    platform varchar(50) NOT NULL,
    device_fingerprint text,
    device_metadata jsonb NOT NULL,
    ip_address inet,
    user_agent text,
    location jsonb,
    fcm_token text,
    expires_at timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason varchar(50) CHECK (revoked_reason IN ('logout', 'logout_all', 'replaced', 'expired',
        'password_changed', 'admin', 'user_blocked', 'user_deleted', 'token_reuse')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (id, user_id),
    CONSTRAINT chk_sessions_revoked CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
COMMENT ON TABLE auth.sessions IS 'One row per session that somebody logged into, those that have ended included.';
COMMENT ON COLUMN auth.sessions.id IS 'Chosen by the client; unique for its user.';
COMMENT ON COLUMN auth.sessions.session_token IS 'SHA-256 of the token that connects, in hex.';
COMMENT ON COLUMN auth.sessions.refresh_token IS 'SHA-256 of the newest refresh token, in hex; the earlier ones are in auth.refresh_tokens.';
COMMENT ON COLUMN auth.sessions.device_id IS 'Made up where the client named none.';
COMMENT ON COLUMN auth.sessions.ip_address IS 'From where it was begun, or last refreshed; so is user_agent.';
COMMENT ON COLUMN auth.sessions.location IS 'Where that is; nothing fills it yet.';
COMMENT ON COLUMN auth.sessions.fcm_token IS 'Where push messages for the device go.';
COMMENT ON COLUMN auth.sessions.expires_at IS 'When it ends if it is not refreshed before; a session of the past is live until revoked_at is set, but of no use.';
COMMENT ON COLUMN auth.sessions.revoked_at IS 'When it was ended; NULL: it was not.';

CREATE INDEX idx_active_sessions ON auth.sessions (user_id, device_id) WHERE revoked_at IS NULL;
CREATE INDEX idx_sessions_user_active ON auth.sessions (user_id, last_activity_at DESC);
CREATE INDEX idx_sessions_expires_at ON auth.sessions (expires_at);

ALTER TABLE auth.sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY user_sessions_policy ON auth.sessions FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.sessions FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
