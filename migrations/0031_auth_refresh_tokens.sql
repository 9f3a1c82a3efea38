-- Which refresh token took the place of which. Indexes left out: the token once more (it has its key) and
-- `expires_at` (that of the session is looked at). The audit does not record it row by row: every row
-- follows from a change of `auth.sessions`, which it does record.
CREATE TABLE auth.refresh_tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    token varchar(255) NOT NULL UNIQUE,
    device_id varchar(255) NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked boolean NOT NULL,
    revoked_at timestamptz,
    replaced_by_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT chk_refresh_tokens_revoked CHECK (revoked = (revoked_at IS NOT NULL))
);
COMMENT ON TABLE auth.refresh_tokens IS 'Every refresh token there ever was; one of each live session can be exchanged.';
COMMENT ON COLUMN auth.refresh_tokens.token IS 'SHA-256 of it, in hex.';
COMMENT ON COLUMN auth.refresh_tokens.expires_at IS 'That of the session when the token was made.';
COMMENT ON COLUMN auth.refresh_tokens.revoked IS 'It was exchanged, or its session has ended.';
COMMENT ON COLUMN auth.refresh_tokens.replaced_by_id IS 'What it was exchanged for last. Twice where an answer was lost: the token that nobody got has the same one.';

CREATE INDEX idx_refresh_tokens_user_id ON auth.refresh_tokens (user_id);

ALTER TABLE auth.refresh_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_refresh_tokens ON auth.refresh_tokens FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.refresh_tokens FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
