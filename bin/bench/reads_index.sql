-- The index on words that one may add: see docs/operating.md.
SET maintenance_work_mem = '256MB';
CREATE INDEX idx_messages_search ON messages.messages
    USING gin (to_tsvector('simple', content)) WHERE NOT content_encrypted AND NOT is_deleted;
VACUUM ANALYZE;
CHECKPOINT;
