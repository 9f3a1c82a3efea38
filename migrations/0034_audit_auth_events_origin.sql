-- More about each event of authentication. The defaults are what holds for every row so far, all of them
-- registrations, and for those that a projector of the version before still writes.
ALTER TABLE audit.auth_events
    ADD COLUMN success boolean NOT NULL DEFAULT true,
    ADD COLUMN ip_address inet,
    ADD COLUMN user_agent text,
    ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN audit.auth_events.user_id IS 'NULL where nobody has the name that was tried.';
COMMENT ON COLUMN audit.auth_events.identifier IS 'The username, e-mail address or phone number that was used; a keyed hash of it where nobody has it.';
COMMENT ON COLUMN audit.auth_events.session_id IS 'The session that it is about, or that it was done in.';
COMMENT ON COLUMN audit.auth_events.success IS 'False for what was tried and refused.';
COMMENT ON COLUMN audit.auth_events.details IS 'What else the event says; never a hash.';
COMMENT ON COLUMN audit.record_changes.record_id IS 'The row''s id; for auth.sessions one that is derived from the user and the session, since a session''s id is unique for its user only.';
