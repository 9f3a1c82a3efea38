-- API keys. A client chooses a key's id, so the id is unique for its user only. `key_hash` is SHA-256 of
-- 256 random bits; no two are the same, so it may be UNIQUE, though partitions are applied side by side.
--
-- The audit records a key when it is made and when it is revoked, not each use.
CREATE TABLE auth.api_keys (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name varchar(100) NOT NULL,
    key_prefix varchar(16) NOT NULL,
    key_hash text NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    last_used_at timestamptz,
    usage_count bigint NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (id, user_id),
    CONSTRAINT chk_api_keys_use CHECK ((usage_count = 0) = (last_used_at IS NULL))
);
COMMENT ON TABLE auth.api_keys IS 'One row per API key, those that were revoked included.';
COMMENT ON COLUMN auth.api_keys.id IS 'Chosen by the client; unique for its user.';
COMMENT ON COLUMN auth.api_keys.key_prefix IS 'How the key begins, for people to know it by.';
COMMENT ON COLUMN auth.api_keys.key_hash IS 'SHA-256 of the key, in hex.';
COMMENT ON COLUMN auth.api_keys.scopes IS 'The domains whose commands it may send.';
COMMENT ON COLUMN auth.api_keys.usage_count IS 'How often it let somebody in; told about once a minute.';
COMMENT ON COLUMN auth.api_keys.expires_at IS 'When it ends by itself; NULL: it does not.';
COMMENT ON COLUMN auth.api_keys.revoked_at IS 'When it was revoked; NULL: it was not.';

CREATE INDEX idx_api_keys_user ON auth.api_keys (user_id) WHERE revoked_at IS NULL;

ALTER TABLE auth.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY api_keys_own ON auth.api_keys FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.api_keys FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
