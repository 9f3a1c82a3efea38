-- What variant `seed` has beyond `lean`: a receipt row for every recipient of every message.
CREATE FUNCTION messages.create_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO messages.delivery_tracking (message_id, user_id)
    SELECT NEW.id, user_id
    FROM messages.conversation_participants
    WHERE conversation_id = NEW.conversation_id AND user_id <> NEW.from_user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER sent_30_receipts AFTER INSERT ON messages.messages
    FOR EACH ROW EXECUTE FUNCTION messages.create_receipts();
