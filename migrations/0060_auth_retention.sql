-- For the timers: what is so old that the tables need not keep it, and for the projector what of that
-- belongs to an account. Sessions have `idx_sessions_expires_at`.
CREATE INDEX idx_otp_created_at ON auth.otp_verifications (created_at, id);
CREATE INDEX idx_otp_account_id ON auth.otp_verifications (account_id, created_at);
CREATE INDEX idx_reset_tokens_created_at ON auth.password_reset_tokens (created_at, id);
