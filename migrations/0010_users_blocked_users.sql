-- Who blocks whom: the authority for "nothing passes between these two".
CREATE TABLE users.blocked_users (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    blocked_user_id uuid NOT NULL,
    reason varchar(255),
    blocked_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT chk_blocked_self CHECK (user_id <> blocked_user_id),
    CONSTRAINT uq_blocked_users UNIQUE (user_id, blocked_user_id)
);
COMMENT ON TABLE users.blocked_users IS 'A row while one user blocks another.';
COMMENT ON COLUMN users.blocked_users.id IS 'Derived from the two users: blocking again gives the same row.';

CREATE INDEX idx_blocked_users_blocked_user_id ON users.blocked_users (blocked_user_id);
