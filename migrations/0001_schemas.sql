-- One schema per domain, and two that belong to no domain: `projection` for what the projectors
-- themselves keep, `views` for questions that cross domains. Every table below is a fold of the
-- log: it can be dropped and built again. That is why no table has a trigger, a DEFAULT that
-- invents something (a time, an id) or a foreign key into another schema.
CREATE SCHEMA auth;
COMMENT ON SCHEMA auth IS 'Accounts.';

CREATE SCHEMA users;
COMMENT ON SCHEMA users IS 'Profiles, settings and who blocks whom.';

CREATE SCHEMA messages;
COMMENT ON SCHEMA messages IS 'Conversations and what is said in them.';

CREATE SCHEMA audit;
COMMENT ON SCHEMA audit IS 'Who changed what, and when.';

CREATE SCHEMA views;
COMMENT ON SCHEMA views IS 'Questions that cross domains, as views.';

CREATE SCHEMA projection;
COMMENT ON SCHEMA projection IS 'How far the projections are, and what the write side reads.';
