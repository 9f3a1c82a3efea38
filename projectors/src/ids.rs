//! Ids of derived rows. Nothing is random: two builds of a table are the same, byte for byte.

use std::fmt::Display;

use uuid::Uuid;

/// Namespace of derived ids; a constant of the tables' format.
const ROW_IDS: Uuid = Uuid::from_u128(0x1f0b_7a3c_66d1_5e52_9c0b_6563_686f_6c67);

/// The id of the `ordinal`-th row that an event gives a table that only grows.
pub(crate) fn of_event(event: Uuid, ordinal: u8) -> Uuid {
    Uuid::new_v5(&event, &[ordinal])
}

/// The id of a row of `users.blocked_users`. A row that its key names has an id that its key names:
/// so the audit, too, can name it without having seen it.
pub(crate) fn blocked_user(user: Uuid, blocked: Uuid) -> Uuid {
    of_key("users.blocked_users", &[&user, &blocked])
}

/// What the audit calls a row of `auth.sessions`, whose own id is unique for its user only.
pub(crate) fn session(user: Uuid, session: Uuid) -> Uuid {
    of_key("auth.sessions", &[&user, &session])
}

/// The same for `auth.api_keys`.
pub(crate) fn api_key(user: Uuid, key: Uuid) -> Uuid {
    of_key("auth.api_keys", &[&user, &key])
}

/// The id of a row of `messages.members`.
pub(crate) fn member(conversation: Uuid, user: Uuid) -> Uuid {
    of_key("messages.members", &[&conversation, &user])
}

/// The id of a row of `messages.message_reactions`.
pub(crate) fn reaction(conversation: Uuid, message: Uuid, user: Uuid, emoji: &str) -> Uuid {
    of_key("messages.message_reactions", &[&conversation, &message, &user, &emoji])
}

/// The id of a row of `messages.pinned_messages`.
pub(crate) fn pin(conversation: Uuid, message: Uuid) -> Uuid {
    of_key("messages.pinned_messages", &[&conversation, &message])
}

fn of_key(table: &str, key: &[&dyn Display]) -> Uuid {
    let mut name = table.to_owned();
    for part in key {
        name.push('\n');
        name.push_str(&part.to_string());
    }
    Uuid::new_v5(&ROW_IDS, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_rows() {
        assert_eq!(of_key("t", &[&1, &"a"]), of_key("t", &[&1, &"a"]));
        assert_ne!(of_key("t", &[&1, &"a"]), of_key("t", &[&"a", &1]));
        assert_ne!(of_event(Uuid::nil(), 0), of_event(Uuid::nil(), 1));
    }
}
