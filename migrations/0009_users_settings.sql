-- Preferences and privacy. Nothing changes them yet; a row says so instead of leaving every
-- reader to know the defaults.
CREATE TABLE users.settings (
    user_id uuid PRIMARY KEY,
    profile_visibility varchar(20) NOT NULL CHECK (profile_visibility IN ('everyone', 'contacts', 'nobody')),
    show_last_seen varchar(20) NOT NULL CHECK (show_last_seen IN ('everyone', 'contacts', 'nobody')),
    show_profile_photo varchar(20) NOT NULL CHECK (show_profile_photo IN ('everyone', 'contacts', 'nobody')),
    show_status varchar(20) NOT NULL CHECK (show_status IN ('everyone', 'contacts', 'nobody')),
    allow_group_invites varchar(20) NOT NULL CHECK (allow_group_invites IN ('everyone', 'contacts', 'nobody')),
    read_receipts_enabled boolean NOT NULL,
    typing_indicators_enabled boolean NOT NULL,
    notifications_enabled boolean NOT NULL,
    push_enabled boolean NOT NULL,
    email_notifications_enabled boolean NOT NULL,
    sms_notifications_enabled boolean NOT NULL,
    theme varchar(20) NOT NULL CHECK (theme IN ('system', 'light', 'dark')),
    appearance jsonb NOT NULL,
    privacy_settings jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE users.settings IS 'Preferences and privacy, one row per account, made with it.';
