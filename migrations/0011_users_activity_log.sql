-- What a user has done to the own account, one row per changed field.
CREATE TABLE users.activity_log (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    activity_type varchar(50) NOT NULL CHECK (activity_type IN ('registered', 'profile_updated')),
    field_name varchar(50),
    old_value text,
    new_value text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE users.activity_log IS 'Registration and profile changes; only ever grows.';
COMMENT ON COLUMN users.activity_log.field_name IS 'The column of users.profiles; NULL where the activity is none of a field.';

CREATE INDEX idx_activity_log_user ON users.activity_log (user_id, created_at DESC);
