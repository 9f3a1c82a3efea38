-- no-transaction
-- For messages.search_messages. Made while messages are written; if that is interrupted, drop the index
-- and migrate again.
CREATE INDEX CONCURRENTLY idx_messages_search ON messages.messages
    USING gin (to_tsvector('simple', content)) WHERE NOT content_encrypted AND NOT is_deleted;
