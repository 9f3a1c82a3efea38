-- What is left of a profile whose account is gone is for administrators.
ALTER TABLE users.profiles ADD COLUMN deleted_at timestamptz;
COMMENT ON COLUMN users.profiles.deleted_at IS 'When the account was deleted; nobody else sees the profile since.';

ALTER POLICY contacts_visibility ON users.profiles USING (
    deleted_at IS NULL AND (
        profile_visibility = 'public' AND (SELECT auth.current_user_id()) IS NOT NULL
        OR profile_visibility = 'friends' AND users.is_contact_with(user_id)
    )
);

ALTER TABLE users.activity_log
    DROP CONSTRAINT activity_log_activity_type_check,
    ADD CONSTRAINT activity_log_activity_type_check
        CHECK (activity_type IN ('registered', 'profile_updated', 'deleted'));
COMMENT ON TABLE users.activity_log IS 'Registration, profile changes and the end of the account; only ever grows.';

-- Whose conversations have to go on without them.
CREATE INDEX idx_users_deleted_at ON auth.users (deleted_at) WHERE deleted_at IS NOT NULL;
