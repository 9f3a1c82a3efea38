-- Why an account may not act. All three are NULL for one that may, and for all that there are so far.
ALTER TABLE auth.users
    ADD COLUMN suspension_reason text,
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspended_until timestamptz;
COMMENT ON COLUMN auth.users.suspension_reason IS 'Why the account is suspended or banned.';
COMMENT ON COLUMN auth.users.suspended_at IS 'Since when it is suspended or banned.';
COMMENT ON COLUMN auth.users.suspended_until IS 'When a suspension is over by itself; NULL: when somebody reinstates the account. The status says suspended until an event says otherwise.';

-- Whose suspension is over by now.
CREATE INDEX idx_users_suspended_until ON auth.users (suspended_until) WHERE suspended_until IS NOT NULL;
