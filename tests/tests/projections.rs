//! Rebuilding and verifying under load.

use echolog::projector::rebuild::{self, Rebuild};
use echolog_tests::{Tenant, run};
use serde_json::json;

async fn some_history(t: &Tenant) -> anyhow::Result<()> {
    let (ada, bob, cid) = (t.user("ada").await?, t.user("bob").await?, t.user("cid").await?);
    let group = t.group(&[ada, bob]).await?;
    let message = t.say(group, ada, "one").await?;
    t.say(group, bob, "two").await?;
    t.accept(
        ada,
        "messages.edit_message",
        group,
        json!({ "message_id": message, "content": "uno" }),
    )
    .await?;
    t.accept(bob, "messages.add_reaction", group, json!({ "message_id": message, "emoji": "👍" }))
        .await?;
    t.accept(bob, "messages.mark_read", group, json!({ "message_id": message })).await?;
    t.accept(ada, "messages.add_members", group, json!({ "user_ids": [cid] })).await?;
    t.accept(ada, "messages.delete_message", group, json!({ "message_id": message })).await?;
    t.accept(ada, "users.update_profile", ada, json!({ "display_name": "Ada L." })).await?;
    t.accept(ada, "users.block_user", ada, json!({ "user_id": cid })).await?;
    Ok(())
}

#[test]
fn every_projection_is_rebuilt_alike() {
    run(async {
        let t = Tenant::start().await?;
        some_history(&t).await?;
        let log = t.log()?;
        for name in ["auth", "users", "messages", "audit", "ledger", "deciders"] {
            rebuild::run(&log, &t.database, name, Rebuild::default(), |_| {}).await?;
            // Whoever asks next reads the new tables, and the projector goes on with them.
            let user = t.user(&format!("after_{name}")).await?;
            assert_eq!(
                t.value(&format!("SELECT count(*) FROM users.profiles WHERE user_id = '{user}'"))
                    .await?,
                "1"
            );
        }
        let report = rebuild::verify(&log, &t.database, None, |_, _| {}).await?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    });
}

#[test]
fn verify_finds_what_was_broken_by_hand() {
    run(async {
        let t = Tenant::start().await?;
        some_history(&t).await?;
        let log = t.log()?;
        assert!(rebuild::verify(&log, &t.database, None, |_, _| {}).await?.is_clean());
        for damage in [
            "UPDATE messages.members SET uncounted = uncounted + 1",
            "UPDATE messages.conversations SET message_count = message_count + 1",
            "UPDATE messages.messages SET content = 'forged' WHERE seq = 2",
            "DELETE FROM messages.message_edits",
            "UPDATE users.profiles SET bio = 'forged'",
            "UPDATE auth.users SET role = 'admin'",
            "DELETE FROM projection.ledger WHERE ctid = (SELECT ctid FROM projection.ledger LIMIT 1)",
            "UPDATE audit.record_changes SET actor = 'forged'",
        ] {
            let schema = damage.split('.').next().and_then(|head| head.split(' ').next_back());
            let projection = match schema {
                Some("projection") => "ledger",
                Some(name) => name,
                None => "messages",
            };
            t.database.execute(damage).await?;
            let report = rebuild::verify(&log, &t.database, Some(projection), |_, _| {}).await?;
            assert!(!report.is_clean(), "{damage}");
            let force = Rebuild { force: true, ..Rebuild::default() };
            rebuild::run(&log, &t.database, projection, force, |_| {}).await?;
            let report = rebuild::verify(&log, &t.database, Some(projection), |_, _| {}).await?;
            assert!(report.is_clean(), "after {damage}: {report}");
        }
        Ok(())
    });
}
