-- Accounts. That a username, an e-mail address or a phone number is taken once is decided by
-- claims in the log. It is not repeated here as UNIQUE: partitions are applied side by side, and
-- a name that one user gave up and another took could arrive in the wrong order.
CREATE TABLE auth.users (
    id uuid PRIMARY KEY,
    email varchar(255),
    phone_number varchar(20),
    username varchar(255),
    password_hash text,
    password_changed_at timestamptz,
    role varchar(20) NOT NULL CHECK (role IN ('user', 'creator', 'moderator', 'admin')),
    user_type varchar(50) NOT NULL CHECK (user_type IN ('web', 'mobile')),
    account_status varchar(20) NOT NULL
        CHECK (account_status IN ('active', 'suspended', 'banned', 'deleted', 'pending')),
    email_verified boolean NOT NULL,
    email_verified_at timestamptz,
    phone_verified boolean NOT NULL,
    phone_verified_at timestamptz,
    two_factor_enabled boolean NOT NULL,
    failed_login_attempts integer NOT NULL,
    locked boolean NOT NULL,
    locked_until timestamptz,
    last_login_at timestamptz,
    device_id varchar(255),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT chk_users_identifier CHECK (
        num_nonnulls(email, phone_number, username) >= 1 OR account_status = 'deleted'
    )
);
COMMENT ON TABLE auth.users IS 'One row per account.';
COMMENT ON COLUMN auth.users.email IS 'Lower case.';
COMMENT ON COLUMN auth.users.phone_number IS 'E.164, with the plus sign.';
COMMENT ON COLUMN auth.users.username IS 'As typed; unique without regard to case.';
COMMENT ON COLUMN auth.users.password_hash IS 'A PHC string of Argon2id; NULL: the account has no password.';

CREATE INDEX idx_users_email ON auth.users (email) WHERE email IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_users_phone_live ON auth.users (phone_number) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_username_lower ON auth.users (lower(username));
CREATE INDEX idx_users_created_at ON auth.users (created_at);
CREATE INDEX idx_users_status_filter ON auth.users (account_status, locked);
CREATE INDEX idx_users_device_id ON auth.users (device_id) WHERE device_id IS NOT NULL;
