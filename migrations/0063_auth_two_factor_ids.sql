-- A factor that is codes has the id of the code that enabled it, which a client chose: unique for its user only.
ALTER TABLE auth.two_factor_factors
    DROP CONSTRAINT two_factor_factors_pkey,
    ADD PRIMARY KEY (id, user_id);
COMMENT ON TABLE auth.two_factor_factors IS 'One row per second factor of a user, those of the past included: an authenticator from the moment it was begun, codes by mail or text message from the moment they were taken into use.';
COMMENT ON COLUMN auth.two_factor_factors.id IS 'Unique for its user.';
