//! One story per command, from the wire to the tables.

use echolog::clock;
use echolog_commands::ErrorCode;
use echolog_tests::{Tenant, run};
use serde_json::json;

#[test]
fn register_user() {
    run(async {
        let t = Tenant::start().await?;
        let ada = clock::new_id();
        let body = json!({
            "username": "Ada", "email": "Ada@Example.org", "phone_number": "+442071838750",
            "display_name": "Ada Lovelace", "user_type": "mobile",
        });
        let outcome = t.accept("anon-1", "auth.register_user", ada, body).await?;
        assert_eq!(
            outcome.events,
            ["user_registered", "identifier_claimed", "identifier_claimed", "identifier_claimed"]
        );
        assert!(outcome.version < outcome.seq, "the account's own event comes first");
        let row = t.rows(&format!("SELECT username, email, phone_number, user_type, role, account_status, password_hash FROM auth.users WHERE id = '{ada}'")).await?;
        assert_eq!(
            row,
            [["Ada", "ada@example.org", "+442071838750", "mobile", "user", "active", ""]]
        );
        let name = t
            .value(&format!("SELECT display_name FROM users.profiles WHERE user_id = '{ada}'"))
            .await?;
        assert_eq!(name, "Ada Lovelace");

        for (field, value) in
            [("username", "ADA"), ("email", "ada@example.ORG"), ("phone_number", "+442071838750")]
        {
            let outcome = t
                .refuse(
                    ErrorCode::AlreadyExists,
                    "anon-2",
                    "auth.register_user",
                    clock::new_id(),
                    json!({ field: value }),
                )
                .await?;
            assert_eq!(outcome.error.and_then(|error| error.field).as_deref(), Some(field));
        }
        t.refuse(ErrorCode::Invalid, "anon-2", "auth.register_user", clock::new_id(), json!({}))
            .await?;
        t.refuse(
            ErrorCode::Invalid,
            "anon-2",
            "auth.register_user",
            "not-a-uuid",
            json!({ "username": "bob" }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn register_user_with_a_password() {
    run(async {
        let t = Tenant::start().await?;
        let id = clock::new_id();
        let body = json!({ "username": "carol", "password": "correct horse battery staple" });
        t.accept("anon-1", "auth.register_user", id, body).await?;
        let hash =
            t.value(&format!("SELECT password_hash FROM auth.users WHERE id = '{id}'")).await?;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let audited = t.value(&format!("SELECT new_data->>'password_hash' FROM audit.record_changes WHERE record_id = '{id}' AND table_name = 'users'")).await?;
        assert_eq!(audited, "[redacted]");
        Ok(())
    });
}

#[test]
fn update_profile() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let body = json!({ "display_name": "Ada L.", "bio": "Poetical science.", "language_code": "fr", "timezone": "Europe/Paris", "profile_visibility": "friends" });
        t.accept(ada, "users.update_profile", ada, body.clone()).await?;
        let row = t.rows(&format!("SELECT display_name, bio, language_code, timezone, profile_visibility FROM users.profiles WHERE user_id = '{ada}'")).await?;
        assert_eq!(row, [["Ada L.", "Poetical science.", "fr", "Europe/Paris", "friends"]]);
        let again = t.accept(ada, "users.update_profile", ada, body).await?;
        assert_eq!((again.seq, again.events.len()), (None, 0), "nothing has changed");
        let logged = t.value(&format!("SELECT count(*) FROM users.activity_log WHERE user_id = '{ada}' AND field_name = 'display_name'")).await?;
        assert_eq!(logged, "1");
        let bob = t.user("bob").await?;
        t.refuse(ErrorCode::Forbidden, bob, "users.update_profile", ada, json!({ "bio": "x" }))
            .await?;
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "users.update_profile",
            ada,
            json!({ "timezone": "Mars/Olympus" }),
        )
        .await?;
        t.refuse(ErrorCode::Invalid, ada, "users.update_profile", ada, json!({ "biography": "x" }))
            .await?;
        t.refuse(
            ErrorCode::Unauthenticated,
            "anon-1",
            "users.update_profile",
            ada,
            json!({ "bio": "x" }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn block_and_unblock_user() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let chat = clock::new_id();
        t.accept(
            ada,
            "messages.create_conversation",
            chat,
            json!({ "conversation_type": "direct", "member_user_ids": [bob] }),
        )
        .await?;
        t.accept(bob, "users.block_user", bob, json!({ "user_id": ada, "reason": "spam" })).await?;
        let rows =
            t.rows("SELECT user_id, blocked_user_id, reason FROM users.blocked_users").await?;
        assert_eq!(rows, [[bob.to_string(), ada.to_string(), "spam".to_owned()]]);
        let message = json!({ "message_id": clock::new_id(), "content": "hello?" });
        t.refuse(ErrorCode::Forbidden, ada, "messages.send_message", chat, message.clone()).await?;
        let again = t.accept(bob, "users.block_user", bob, json!({ "user_id": ada })).await?;
        assert_eq!(again.seq, None);
        t.accept(bob, "users.unblock_user", bob, json!({ "user_id": ada })).await?;
        assert_eq!(t.value("SELECT count(*) FROM users.blocked_users").await?, "0");
        t.accept(ada, "messages.send_message", chat, message).await?;
        t.refuse(ErrorCode::Invalid, ada, "users.block_user", ada, json!({ "user_id": ada }))
            .await?;
        t.refuse(
            ErrorCode::NotFound,
            ada,
            "users.block_user",
            ada,
            json!({ "user_id": clock::new_id() }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn create_conversation() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let chat = clock::new_id();
        let direct = json!({ "conversation_type": "direct", "member_user_ids": [bob] });
        t.accept(ada, "messages.create_conversation", chat, direct.clone()).await?;
        let second = t
            .refuse(
                ErrorCode::AlreadyExists,
                bob,
                "messages.create_conversation",
                clock::new_id(),
                json!({ "conversation_type": "direct", "member_user_ids": [ada] }),
            )
            .await?;
        assert_eq!(second.data, Some(json!({ "conversation_id": chat })));
        for kind in ["group", "channel", "broadcast"] {
            let id = clock::new_id();
            let body = json!({ "conversation_type": kind, "title": kind, "description": "d", "avatar_url": "https://example.org/a.png", "is_public": true, "member_user_ids": [bob] });
            t.accept(ada, "messages.create_conversation", id, body).await?;
            let row = t.rows(&format!("SELECT conversation_type, title, description, is_public, owner_user_id, member_count FROM messages.conversations WHERE id = '{id}'")).await?;
            assert_eq!(row, [[kind, kind, "d", "true", &ada.to_string(), "2"]]);
        }
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "messages.create_conversation",
            clock::new_id(),
            json!({ "conversation_type": "group", "member_user_ids": [bob] }),
        )
        .await?;
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "messages.create_conversation",
            clock::new_id(),
            json!({ "conversation_type": "party", "member_user_ids": [bob] }),
        )
        .await?;
        t.refuse(
            ErrorCode::NotFound,
            ada,
            "messages.create_conversation",
            clock::new_id(),
            json!({ "conversation_type": "direct", "member_user_ids": [clock::new_id()] }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn update_conversation() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        t.accept(
            ada,
            "messages.update_conversation",
            group,
            json!({ "title": "renamed", "description": "all about it" }),
        )
        .await?;
        let row = t
            .rows(&format!(
                "SELECT title, description FROM messages.conversations WHERE id = '{group}'"
            ))
            .await?;
        assert_eq!(row, [["renamed", "all about it"]]);
        t.refuse(
            ErrorCode::Forbidden,
            bob,
            "messages.update_conversation",
            group,
            json!({ "title": "mine" }),
        )
        .await?;
        t.refuse(
            ErrorCode::NotFound,
            ada,
            "messages.update_conversation",
            clock::new_id(),
            json!({ "title": "x" }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn add_remove_and_leave() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob, eve) = (t.user("ada").await?, t.user("bob").await?, t.user("eve").await?);
        let group = t.group(&[ada, bob]).await?;
        let members = || async {
            t.value(&format!("SELECT string_agg(p.username, ' ' ORDER BY p.username) FROM messages.conversation_participants c JOIN users.profiles p USING (user_id) WHERE conversation_id = '{group}' AND is_active")).await
        };
        t.refuse(
            ErrorCode::Forbidden,
            bob,
            "messages.add_members",
            group,
            json!({ "user_ids": [eve] }),
        )
        .await?;
        t.accept(ada, "messages.add_members", group, json!({ "user_ids": [eve] })).await?;
        assert_eq!(members().await?, "ada bob eve");
        let again =
            t.accept(ada, "messages.add_members", group, json!({ "user_ids": [eve] })).await?;
        assert_eq!(again.seq, None);
        t.refuse(
            ErrorCode::Forbidden,
            eve,
            "messages.remove_member",
            group,
            json!({ "user_id": bob }),
        )
        .await?;
        t.accept(ada, "messages.remove_member", group, json!({ "user_id": eve })).await?;
        t.refuse(
            ErrorCode::Forbidden,
            eve,
            "messages.send_message",
            group,
            json!({ "message_id": clock::new_id(), "content": "x" }),
        )
        .await?;
        t.refuse(ErrorCode::Conflict, ada, "messages.leave_conversation", group, json!({})).await?;
        t.accept(bob, "messages.leave_conversation", group, json!({})).await?;
        assert_eq!(members().await?, "ada");
        assert_eq!(
            t.value(&format!(
                "SELECT member_count FROM messages.conversations WHERE id = '{group}'"
            ))
            .await?,
            "1"
        );
        Ok(())
    });
}

#[test]
fn change_role() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        t.refuse(
            ErrorCode::Forbidden,
            bob,
            "messages.change_role",
            group,
            json!({ "user_id": ada, "role": "member" }),
        )
        .await?;
        t.accept(
            ada,
            "messages.change_role",
            group,
            json!({ "user_id": bob, "role": "moderator" }),
        )
        .await?;
        t.accept(ada, "messages.change_role", group, json!({ "user_id": bob, "role": "owner" }))
            .await?;
        let roles = t.rows(&format!("SELECT p.username, c.role FROM messages.conversation_participants c JOIN users.profiles p USING (user_id) WHERE conversation_id = '{group}' ORDER BY 1")).await?;
        assert_eq!(roles, [["ada", "admin"], ["bob", "owner"]]);
        assert_eq!(
            t.value(&format!(
                "SELECT owner_user_id FROM messages.conversations WHERE id = '{group}'"
            ))
            .await?,
            bob.to_string()
        );
        t.accept(ada, "messages.leave_conversation", group, json!({})).await?;
        Ok(())
    });
}

#[test]
fn send_edit_and_delete_message() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let first = t.say(group, ada, "Hello wrold").await?;
        let reply = clock::new_id();
        t.accept(bob, "messages.send_message", group, json!({ "message_id": reply, "content": "hi", "reply_to_message_id": first, "mentions": [ada] })).await?;
        t.accept(
            ada,
            "messages.edit_message",
            group,
            json!({ "message_id": first, "content": "Hello world" }),
        )
        .await?;
        t.refuse(
            ErrorCode::Forbidden,
            bob,
            "messages.edit_message",
            group,
            json!({ "message_id": first, "content": "x" }),
        )
        .await?;
        t.refuse(
            ErrorCode::AlreadyExists,
            ada,
            "messages.send_message",
            group,
            json!({ "message_id": first, "content": "again" }),
        )
        .await?;
        let row = t.rows(&format!("SELECT seq, content, is_edited, edit_count, reply_count FROM messages.messages WHERE id = '{first}'")).await?;
        assert_eq!(row, [["1", "Hello world", "true", "1", "1"]]);
        let edit = t
            .rows("SELECT edit_number, old_content, new_content FROM messages.message_edits")
            .await?;
        assert_eq!(edit, [["1", "Hello wrold", "Hello world"]]);
        let thread = t
            .rows(
                "SELECT parent_message_id, reply_message_id, root_message_id FROM messages.threads",
            )
            .await?;
        assert_eq!(thread, [[first.to_string(), reply.to_string(), first.to_string()]]);
        t.refuse(
            ErrorCode::Forbidden,
            bob,
            "messages.delete_message",
            group,
            json!({ "message_id": first }),
        )
        .await?;
        t.accept(ada, "messages.delete_message", group, json!({ "message_id": reply })).await?;
        t.refuse(
            ErrorCode::Gone,
            bob,
            "messages.edit_message",
            group,
            json!({ "message_id": reply, "content": "x" }),
        )
        .await?;
        t.refuse(
            ErrorCode::Gone,
            ada,
            "messages.delete_message",
            group,
            json!({ "message_id": reply }),
        )
        .await?;
        let row = t.rows(&format!("SELECT last_message_id, message_count FROM messages.conversations WHERE id = '{group}'")).await?;
        assert_eq!(row, [[first.to_string(), "2".to_owned()]]);
        t.refuse(
            ErrorCode::TooLarge,
            ada,
            "messages.send_message",
            group,
            json!({ "message_id": clock::new_id(), "content": "x".repeat(16 * 1024 + 1) }),
        )
        .await?;
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "messages.send_message",
            group,
            json!({ "message_id": clock::new_id(), "message_type": "system", "content": "x" }),
        )
        .await?;
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "messages.send_message",
            group,
            json!({ "message_id": clock::new_id(), "message_type": "image" }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn add_and_remove_reaction() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let message = t.say(group, ada, "Hello").await?;
        let count = || async {
            t.value(&format!("SELECT reaction_count FROM messages.messages WHERE id = '{message}'"))
                .await
        };
        let body = json!({ "message_id": message, "emoji": "👍" });
        t.accept(bob, "messages.add_reaction", group, body.clone()).await?;
        t.accept(bob, "messages.add_reaction", group, body.clone()).await?;
        t.accept(ada, "messages.add_reaction", group, body.clone()).await?;
        assert_eq!(count().await?, "2");
        t.accept(bob, "messages.remove_reaction", group, body.clone()).await?;
        t.accept(bob, "messages.remove_reaction", group, body.clone()).await?;
        assert_eq!(count().await?, "1");
        t.refuse(
            ErrorCode::NotFound,
            ada,
            "messages.add_reaction",
            group,
            json!({ "message_id": clock::new_id(), "emoji": "👍" }),
        )
        .await?;
        t.refuse(
            ErrorCode::Invalid,
            ada,
            "messages.add_reaction",
            group,
            json!({ "message_id": message, "emoji": "" }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn mark_delivered_and_mark_read() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let first = t.say(group, ada, "one").await?;
        let second = t.say(group, ada, "two").await?;
        let third = t.say(group, ada, "three").await?;
        let unread = || async {
            t.value(&format!("SELECT unread_count FROM messages.conversation_participants WHERE conversation_id = '{group}' AND user_id = '{bob}'")).await
        };
        assert_eq!(unread().await?, "3");
        t.accept(bob, "messages.mark_delivered", group, json!({ "message_id": second })).await?;
        t.accept(bob, "messages.mark_read", group, json!({ "message_id": first })).await?;
        assert_eq!(unread().await?, "2");
        let receipts = t.rows(&format!("SELECT m.content, r.status FROM messages.message_receipts r JOIN messages.messages m ON m.id = r.message_id WHERE r.user_id = '{bob}' ORDER BY m.seq")).await?;
        assert_eq!(receipts, [["one", "read"], ["two", "delivered"], ["three", "sent"]]);
        t.accept(bob, "messages.mark_read", group, json!({ "message_id": third })).await?;
        t.accept(bob, "messages.mark_read", group, json!({ "message_id": first })).await?;
        assert_eq!(unread().await?, "0", "a cursor only moves forward");
        t.refuse(
            ErrorCode::NotFound,
            bob,
            "messages.mark_read",
            group,
            json!({ "message_id": clock::new_id() }),
        )
        .await?;
        Ok(())
    });
}

#[test]
fn pin_and_unpin_message() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let (one, two) = (t.say(group, bob, "one").await?, t.say(group, bob, "two").await?);
        let pin = |message| json!({ "message_id": message });
        t.refuse(ErrorCode::Forbidden, bob, "messages.pin_message", group, pin(one)).await?;
        for message in [one, two, one] {
            t.accept(ada, "messages.pin_message", group, pin(message)).await?;
        }
        let pinned = || async {
            t.value("SELECT coalesce(string_agg(m.content, ' ' ORDER BY m.seq), '') FROM messages.pinned_messages p JOIN messages.messages m ON m.id = p.message_id").await
        };
        assert_eq!(pinned().await?, "one two");
        t.accept(ada, "messages.unpin_message", group, pin(one)).await?;
        assert_eq!(pinned().await?, "two");
        t.accept(bob, "messages.delete_message", group, pin(two)).await?;
        assert_eq!(pinned().await?, "", "what is deleted is not pinned");
        t.refuse(ErrorCode::Gone, ada, "messages.pin_message", group, pin(two)).await?;
        Ok(())
    });
}
