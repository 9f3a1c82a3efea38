-- Tokens that stand for passwords which were lost. A client chooses a reset's id, so the id is unique for its user
-- only. Nothing is written where nobody has the address or number. A token is 256 random bits, so its hash may
-- be UNIQUE, though partitions are applied side by side. The audit does not record them row by row:
-- `audit.auth_events` has what happened to each.
CREATE TABLE auth.password_reset_tokens (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash varchar(255) NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (id, user_id)
);
COMMENT ON TABLE auth.password_reset_tokens IS 'Every token that stands, or stood, for a password which was lost.';
COMMENT ON COLUMN auth.password_reset_tokens.id IS 'Chosen by the client; unique for its user.';
COMMENT ON COLUMN auth.password_reset_tokens.token_hash IS 'SHA-256 of it, in hex.';
COMMENT ON COLUMN auth.password_reset_tokens.expires_at IS 'How long it is good; brought forward when another takes its place.';
COMMENT ON COLUMN auth.password_reset_tokens.used_at IS 'When the password was changed with it.';

CREATE INDEX idx_reset_tokens_user_id ON auth.password_reset_tokens (user_id);
CREATE UNIQUE INDEX idx_reset_tokens_hash ON auth.password_reset_tokens (token_hash);
CREATE INDEX idx_reset_tokens_expires ON auth.password_reset_tokens (expires_at);

ALTER TABLE auth.password_reset_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_password_reset_tokens ON auth.password_reset_tokens FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.password_reset_tokens FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
