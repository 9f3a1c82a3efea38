-- One-time codes. A client chooses a code's id, so the id is unique for its account only: nobody can be in
-- the way of somebody else's. Codes for names that nobody has stand under an account that is nobody's.
--
-- Indexes left out: those by identifier of one type (the one by identifier serves). The audit does not
-- record codes row by row: `audit.auth_events` has what happened to each.
CREATE TABLE auth.otp_verifications (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    user_id uuid,
    identifier varchar(255) NOT NULL,
    identifier_type varchar(20) NOT NULL CHECK (identifier_type IN ('email', 'phone')),
    otp_code varchar(10) CHECK (otp_code IS NULL),
    otp_hash text NOT NULL,
    purpose varchar(50) NOT NULL CHECK (purpose IN ('registration', 'login', 'password_reset', '2fa',
        'phone_change', 'email_verification')),
    attempts integer NOT NULL,
    max_attempts integer NOT NULL,
    verified boolean NOT NULL,
    verified_at timestamptz,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (id, account_id),
    CONSTRAINT chk_otp_attempts CHECK (attempts >= 0 AND attempts <= max_attempts),
    CONSTRAINT chk_otp_verified CHECK (verified = (verified_at IS NOT NULL))
);
COMMENT ON TABLE auth.otp_verifications IS 'Every one-time code that somebody asked for, whether it was sent or not.';
COMMENT ON COLUMN auth.otp_verifications.id IS 'Chosen by the client; unique for its account.';
COMMENT ON COLUMN auth.otp_verifications.account_id IS 'The user; one of a few that are nobody''s where nobody has the name.';
COMMENT ON COLUMN auth.otp_verifications.user_id IS 'NULL where nobody has the name.';
COMMENT ON COLUMN auth.otp_verifications.identifier IS 'Where the code went; where nobody has the name, a keyed hash of it.';
COMMENT ON COLUMN auth.otp_verifications.otp_code IS 'Always NULL: no code rests anywhere.';
COMMENT ON COLUMN auth.otp_verifications.otp_hash IS 'HMAC-SHA-256 of the code under a key of the tenant, in hex.';
COMMENT ON COLUMN auth.otp_verifications.expires_at IS 'How long it is good; brought forward when another takes its place.';

CREATE INDEX idx_otp_identifier ON auth.otp_verifications (identifier, identifier_type, expires_at DESC);
CREATE INDEX idx_otp_user_id ON auth.otp_verifications (user_id);
CREATE INDEX idx_otp_expires_at ON auth.otp_verifications (expires_at);

ALTER TABLE auth.otp_verifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_otp_verifications ON auth.otp_verifications FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY admin_full_access ON auth.otp_verifications FOR ALL TO echolog_reader
    USING ((SELECT auth.is_admin()));
