-- Second factors. Their ids are made by handlers, so they are unique. What an authenticator's secret is
-- derived from is in no table: only decisions need it.
ALTER TABLE auth.users ADD COLUMN two_factor_method varchar(20)
    CHECK (two_factor_method IN ('sms', 'email', 'totp'));
COMMENT ON COLUMN auth.users.two_factor_method IS 'What who logs in needs beside a password; NULL: nothing.';

CREATE TABLE auth.two_factor_factors (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    kind varchar(20) NOT NULL CHECK (kind IN ('totp', 'sms', 'email')),
    status varchar(20) NOT NULL CHECK (status IN ('pending', 'active', 'revoked')),
    last_step bigint,
    last_used_at timestamptz,
    verified_at timestamptz,
    revoked_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT chk_two_factor_status CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CONSTRAINT chk_two_factor_verified CHECK (status <> 'active' OR verified_at IS NOT NULL)
);
COMMENT ON TABLE auth.two_factor_factors IS 'One row per authenticator that a user began to set up, those of the past included.';
COMMENT ON COLUMN auth.two_factor_factors.status IS 'pending: begun, and good until expires_at; active: in use; revoked: another was begun, or two factors are no longer in use.';
COMMENT ON COLUMN auth.two_factor_factors.last_step IS 'The half minute of the last code that was shown, counted from 1970: no code is good twice.';

CREATE TABLE auth.recovery_codes (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    set_id uuid NOT NULL,
    code_hash text NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE auth.recovery_codes IS 'One row per code that stands in for an authenticator once.';
COMMENT ON COLUMN auth.recovery_codes.set_id IS 'The codes that were told together.';
COMMENT ON COLUMN auth.recovery_codes.code_hash IS 'HMAC-SHA-256 of the code under a key of the tenant, in hex.';
COMMENT ON COLUMN auth.recovery_codes.revoked_at IS 'When it became good for nothing without being used.';

CREATE INDEX idx_two_factor_factors_user ON auth.two_factor_factors (user_id) WHERE revoked_at IS NULL;
CREATE INDEX idx_recovery_codes_user ON auth.recovery_codes (user_id)
    WHERE used_at IS NULL AND revoked_at IS NULL;

ALTER TABLE auth.two_factor_factors ENABLE ROW LEVEL SECURITY;
CREATE POLICY two_factor_factors_own ON auth.two_factor_factors FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.two_factor_factors FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
ALTER TABLE auth.recovery_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY recovery_codes_own ON auth.recovery_codes FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.recovery_codes FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));

-- Who is logged in and proves it once more is known by id.
ALTER TABLE auth.login_history DROP CONSTRAINT login_history_identifier_type_check;
ALTER TABLE auth.login_history ADD CONSTRAINT login_history_identifier_type_check
    CHECK (identifier_type IN ('email', 'phone', 'username', 'oauth', 'api_key', 'user_id'));
