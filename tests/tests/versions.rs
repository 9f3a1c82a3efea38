//! What a newer build has written while this one still runs.

use anyhow::Context as _;
use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::{Command, CommandType, ContentType, ErrorCode, Status};
use echolog_events::Stream;
use echolog_tests::{Tenant, eventually, run};
use serde_json::json;

use crate::parking::{subject, write};

/// An event type of the future.
const TYPE: [(&str, &str); 2] = [("ce-type", "messages.dreamt"), ("ce-schema", "1")];

#[test]
fn a_command_that_a_newer_build_accepted_is_not_decided_again() {
    run(async {
        let mut t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let group = t.group(&[ada]).await?;
        t.stop_first().await?;

        let body = json!({ "message_id": clock::new_id(), "content": "Hello" });
        let request = Request::new(ada, "messages.send_message", group, body);
        let known = CommandType::find("messages", "send_message").context("it is known")?;
        let encoded = ContentType::Json.encode(&request.body);
        let command = Command::decode(known, ContentType::Json, &encoded);
        let digest = format!("{:016x}", command.expect("it is sound").digest());
        let (actor, id) = (ada.to_string(), request.id.to_string());
        let headers = [
            TYPE[0],
            TYPE[1],
            ("ce-actor", actor.as_str()),
            ("ce-command", id.as_str()),
            ("echolog-digest", digest.as_str()),
        ];
        let seq = write(&t, subject(&t, Stream::Message, group), &headers, Vec::new()).await?;

        t.add(Roles::HANDLER).await?;
        let outcome = t.client.send(&request).await?;
        assert_eq!((outcome.status, outcome.seq), (Status::Accepted, Some(seq)), "{outcome:?}");
        assert_eq!(outcome.events, ["dreamt"]);
        Ok(())
    });
}

#[test]
fn nobody_decides_on_what_a_newer_build_has_changed() {
    run(async {
        let mut t = Tenant::start().await?;
        let (ada, bob, carol) =
            (t.user("ada").await?, t.user("bob").await?, t.user("carol").await?);
        t.stop_first().await?;
        write(&t, subject(&t, Stream::User, bob), &TYPE, Vec::new()).await?;

        // Without a projector, which would set Bob aside.
        t.add(Roles::HANDLER).await?;
        let direct = |other| {
            let body = json!({ "conversation_type": "direct", "member_user_ids": [other] });
            Request::new(ada, "messages.create_conversation", clock::new_id(), body)
        };
        let outcome = t.client.send(&direct(carol)).await?;
        assert_eq!(outcome.status, Status::Accepted, "{outcome:?}");
        let outcome = t.client.send(&direct(bob)).await?;
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        Ok(())
    });
}

#[test]
fn a_message_of_a_newer_build_is_looked_for_in_the_tables() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        // It has read the log from its beginning, so what it has not seen is new to it.
        t.add(Roles::HANDLER).await?;
        t.add(Roles::PROJECTOR).await?;
        let ada = t.user("ada").await?;
        let (here, there) = (t.group(&[ada]).await?, t.group(&[ada]).await?);
        let known = t.say(here, ada, "Hello").await?;
        t.stop_at(1).await?;

        // As a projector of a newer build would leave it.
        let message = clock::new_id();
        let headers = [("ce-type", "messages.message_sent"), ("ce-schema", "999")];
        let seq = write(&t, subject(&t, Stream::Message, here), &headers, Vec::new()).await?;
        let sql = format!("UPDATE messages.messages SET id = '{message}' WHERE id = '{known}'");
        t.database.execute(&sql).await?;
        let sql = format!("UPDATE projection.checkpoints SET position = {seq}");
        t.database.execute(&sql).await?;

        let body = json!({
            "message_id": clock::new_id(),
            "content": "Hello",
            "forward_from_message_id": message,
            "forward_from_conversation_id": here,
        });
        let forward = Request::new(ada, "messages.send_message", there, body);
        eventually("the handler knows what the tables have", || async {
            let outcome = t.client.send(&forward).await?;
            anyhow::ensure!(outcome.status != Status::Rejected, "{outcome:?}");
            Ok(outcome.status == Status::Accepted)
        })
        .await
    });
}
