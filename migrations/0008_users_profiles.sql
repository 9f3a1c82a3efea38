-- What others see of an account. Columns that no event fills yet are there because readers name
-- them; they hold what they held when the account was made.
CREATE TABLE users.profiles (
    user_id uuid PRIMARY KEY,
    username varchar(255),
    display_name varchar(100) NOT NULL,
    full_name varchar(100),
    bio text,
    avatar_url text,
    online_status varchar(20) NOT NULL
        CHECK (online_status IN ('online', 'offline', 'away', 'busy', 'invisible')),
    last_seen timestamptz NOT NULL,
    profile_visibility varchar(20) NOT NULL
        CHECK (profile_visibility IN ('public', 'friends', 'private')),
    phone_visible boolean NOT NULL,
    is_verified boolean NOT NULL,
    language_code varchar(35) NOT NULL,
    timezone varchar(100) NOT NULL,
    social_links jsonb NOT NULL,
    interests text[] NOT NULL,
    bio_links jsonb NOT NULL,
    is_deactivated boolean NOT NULL,
    deactivated_at timestamptz,
    followers_count integer NOT NULL CHECK (followers_count >= 0),
    following_count integer NOT NULL CHECK (following_count >= 0),
    posts_count integer NOT NULL CHECK (posts_count >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE users.profiles IS 'The public side of an account, one row per account.';
COMMENT ON COLUMN users.profiles.username IS 'A copy of auth.users.username.';
COMMENT ON COLUMN users.profiles.language_code IS 'A BCP 47 tag, at most 35 characters.';

CREATE INDEX idx_profiles_username ON users.profiles (lower(username));
CREATE INDEX idx_profiles_display_name ON users.profiles (display_name);
