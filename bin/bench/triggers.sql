-- What keeps the numbers: time stamps, the conversation's counters, everyone's unread number and
-- the audit of messages and conversations.
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = current_timestamp;
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON auth.users
    FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE ON messages.conversations
    FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE ON messages.conversation_participants
    FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE ON messages.messages
    FOR EACH ROW EXECUTE FUNCTION public.touch();

CREATE FUNCTION messages.count_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages.conversations SET message_count = message_count + 1, last_message_id = NEW.id,
        last_message_at = NEW.created_at, last_activity_at = NEW.created_at
    WHERE id = NEW.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER sent_10_count AFTER INSERT ON messages.messages
    FOR EACH ROW EXECUTE FUNCTION messages.count_message();

CREATE FUNCTION messages.count_unread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages.conversation_participants SET unread_count = unread_count + 1
    WHERE conversation_id = NEW.conversation_id AND user_id <> NEW.from_user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER sent_20_unread AFTER INSERT ON messages.messages
    FOR EACH ROW EXECUTE FUNCTION messages.count_unread();

CREATE FUNCTION audit.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb;
    after jsonb;
    changed text[];
BEGIN
    IF TG_OP <> 'INSERT' THEN
        before := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        after := to_jsonb(NEW);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(field.key) INTO changed
        FROM jsonb_each(after) AS field
        WHERE field.value IS DISTINCT FROM before -> field.key;
    END IF;
    INSERT INTO audit.record_changes (schema_name, table_name, operation, old_data, new_data,
        changed_fields, user_id, session_id)
    VALUES (TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, before, after, changed,
        nullif(current_setting('app.current_user_id', true), '')::uuid,
        nullif(current_setting('app.session_id', true), '')::uuid);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON messages.messages
    FOR EACH ROW EXECUTE FUNCTION audit.record_change();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON messages.conversations
    FOR EACH ROW EXECUTE FUNCTION audit.record_change();
