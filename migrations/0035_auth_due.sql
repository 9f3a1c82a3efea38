-- For the timers: what is over and not ended yet. Both are small, however many rows there are.
CREATE INDEX idx_sessions_due ON auth.sessions (expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX idx_users_lock_due ON auth.users (locked_until, id) WHERE locked;
