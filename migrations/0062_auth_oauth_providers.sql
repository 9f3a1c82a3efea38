-- Identities at other providers that speak for users. That an identity speaks for one user is decided by
-- claims in the log. It is not repeated here as UNIQUE: partitions are applied side by side, and an
-- identity that one user gave up and another linked could arrive in the wrong order.
--
-- What a provider gives for calls in a user's name is not kept: access_token, refresh_token and
-- token_expires_at stay NULL.
CREATE TABLE auth.oauth_providers (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    provider varchar(50) NOT NULL
        CONSTRAINT chk_oauth_provider CHECK (provider IN ('google', 'apple', 'facebook', 'github')),
    provider_user_id varchar(255) NOT NULL,
    provider_email varchar(255),
    access_token text,
    refresh_token text,
    token_expires_at timestamptz,
    profile_data jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE auth.oauth_providers IS 'One row per identity at a provider that speaks for a user now.';
COMMENT ON COLUMN auth.oauth_providers.provider_user_id IS 'What the provider calls the identity.';
COMMENT ON COLUMN auth.oauth_providers.provider_email IS 'An address that the provider has verified; lower case.';
COMMENT ON COLUMN auth.oauth_providers.access_token IS 'Not kept: NULL.';
COMMENT ON COLUMN auth.oauth_providers.refresh_token IS 'Not kept: NULL.';
COMMENT ON COLUMN auth.oauth_providers.token_expires_at IS 'Not kept: NULL.';
COMMENT ON COLUMN auth.oauth_providers.profile_data IS 'What the provider says about it: sub, name, email, picture.';

CREATE INDEX idx_oauth_user_id ON auth.oauth_providers (user_id);
CREATE INDEX idx_oauth_provider ON auth.oauth_providers (provider, provider_user_id);

ALTER TABLE auth.oauth_providers ENABLE ROW LEVEL SECURITY;
CREATE POLICY oauth_providers_own ON auth.oauth_providers FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.oauth_providers FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
