//! Longer stories: what the tables say after many commands.

use echolog::client::Request;
use echolog::clock;
use echolog_commands::{ErrorCode, Status};
use echolog_events::Uuid;
use echolog_tests::{Tenant, run};
use serde_json::json;

/// Unread, counted anew from the messages themselves, beside what the view says.
const RECOUNT: &str = "SELECT c.user_id, c.unread_count, count(m.id) FILTER (WHERE m.seq > b.read_seq AND m.sender_user_id <> c.user_id AND NOT m.is_deleted)
    FROM messages.conversation_participants c JOIN messages.members b USING (conversation_id, user_id) LEFT JOIN messages.messages m USING (conversation_id)
    WHERE c.is_active GROUP BY c.conversation_id, c.user_id, c.unread_count";

async fn assert_unread(t: &Tenant) -> anyhow::Result<()> {
    for row in t.rows(RECOUNT).await? {
        assert_eq!(row[1], row[2], "unread of {}", row[0]);
    }
    Ok(())
}

#[test]
fn unread_counts_hold_through_deletes_joins_and_leaves() {
    run(async {
        let t = Tenant::start().await?;
        let mut users = Vec::new();
        for name in ["ada", "bob", "cid", "dan"] {
            users.push(t.user(name).await?);
        }
        let [ada, bob, cid, dan] = users[..] else { unreachable!("four users") };
        let group = t.group(&[ada, bob, cid]).await?;
        let mut sent: Vec<(Uuid, Uuid)> = Vec::new();
        for round in 0..4 {
            for user in [ada, bob, cid] {
                sent.push((user, t.say(group, user, &format!("{round}")).await?));
            }
            let (sender, message) = sent[round * 2];
            t.accept(sender, "messages.delete_message", group, json!({ "message_id": message }))
                .await?;
            assert_unread(&t).await?;
            let (_, read) = sent[round + 1];
            t.accept(bob, "messages.mark_read", group, json!({ "message_id": read })).await?;
            assert_unread(&t).await?;
        }
        t.accept(ada, "messages.add_members", group, json!({ "user_ids": [dan] })).await?;
        assert_unread(&t).await?;
        t.say(group, ada, "welcome").await?;
        t.accept(cid, "messages.leave_conversation", group, json!({})).await?;
        t.say(group, dan, "thanks").await?;
        t.accept(ada, "messages.add_members", group, json!({ "user_ids": [cid] })).await?;
        t.say(group, ada, "back again").await?;
        assert_unread(&t).await?;
        let cid_unread = t.value(&format!("SELECT unread_count FROM messages.conversation_participants WHERE user_id = '{cid}'")).await?;
        assert_eq!(cid_unread, "1", "who comes back has read what went before");
        Ok(())
    });
}

#[test]
fn receipts_follow_from_cursors_and_membership() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob, cid) = (t.user("ada").await?, t.user("bob").await?, t.user("cid").await?);
        let group = t.group(&[ada, bob]).await?;
        let first = t.say(group, ada, "one").await?;
        t.accept(ada, "messages.add_members", group, json!({ "user_ids": [cid] })).await?;
        let second = t.say(group, ada, "two").await?;
        t.accept(cid, "messages.mark_read", group, json!({ "message_id": second })).await?;
        let receipts = t.rows(&format!(
            "SELECT m.content, p.username, r.status, r.read_at IS NOT NULL FROM messages.message_receipts r
             JOIN messages.messages m ON m.id = r.message_id JOIN users.profiles p ON p.user_id = r.user_id
             WHERE r.conversation_id = '{group}' ORDER BY m.seq, p.username"
        )).await?;
        assert_eq!(
            receipts,
            [
                ["one", "bob", "sent", "false"],
                ["two", "bob", "sent", "false"],
                ["two", "cid", "read", "true"]
            ],
            "{first}: who joined later is no recipient of what went before"
        );
        Ok(())
    });
}

#[test]
fn the_audit_has_before_and_after() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let message = t.say(group, ada, "Hello wrold").await?;
        let edit = json!({ "message_id": message, "content": "Hello world" });
        let edited = t.accept(ada, "messages.edit_message", group, edit).await?;
        t.accept(ada, "messages.delete_message", group, json!({ "message_id": message })).await?;
        let rows = t.rows(&format!(
            "SELECT operation, old_data->>'content', new_data->>'content', 'content' = ANY(changed_fields), user_id, command_id IS NOT NULL
             FROM audit.record_changes WHERE record_id = '{message}' AND table_name = 'messages' ORDER BY event_seq"
        )).await?;
        let ada = ada.to_string();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0][..3], ["INSERT", "", "Hello wrold"]);
        assert_eq!(rows[1], ["UPDATE", "Hello wrold", "Hello world", "true", &ada, "true"]);
        assert_eq!(rows[2], ["UPDATE", "Hello world", "", "true", &ada, "true"]);
        let at = t.value(&format!("SELECT event_seq FROM audit.record_changes WHERE record_id = '{message}' AND command_id = '{}'", edited.command_id.unwrap_or_default())).await?;
        assert_eq!(Some(at), edited.seq.map(|seq| seq.to_string()));
        Ok(())
    });
}

#[test]
fn commands_of_one_tick_see_each_other() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = clock::new_id();
        let message = clock::new_id();
        // All in the same partition, sent without waiting: decided in order, each on the one before.
        let requests = [
            Request::new(
                ada,
                "messages.create_conversation",
                group,
                json!({ "conversation_type": "group", "title": "t", "member_user_ids": [bob] }),
            ),
            Request::new(
                ada,
                "messages.send_message",
                group,
                json!({ "message_id": message, "content": "one" }),
            ),
            Request::new(
                ada,
                "messages.edit_message",
                group,
                json!({ "message_id": message, "content": "two" }),
            ),
            Request::new(
                bob,
                "messages.add_reaction",
                group,
                json!({ "message_id": message, "emoji": "👍" }),
            ),
            Request::new(ada, "messages.delete_message", group, json!({ "message_id": message }))
                .projected()
                .projected(),
        ];
        let outcomes =
            futures::future::try_join_all(requests.iter().map(|r| t.client.send(r))).await?;
        for outcome in &outcomes {
            assert_eq!(outcome.status, Status::Accepted, "{outcome:?}");
        }
        let late = json!({ "message_id": message, "content": "three" });
        t.refuse(ErrorCode::Gone, ada, "messages.edit_message", group, late).await?;
        let row = t.rows(&format!("SELECT content, is_deleted, edit_count, reaction_count FROM messages.messages WHERE id = '{message}'")).await?;
        assert_eq!(row, [["", "true", "1", "1"]]);
        Ok(())
    });
}
