//! Events that cannot be applied: what waits, what goes on, and what an operator does about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use async_nats::HeaderMap;
use echolog::client::Request;
use echolog::clock;
use echolog::projector::parked::Events;
use echolog::projector::rebuild::{self, Rebuild};
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Status};
use echolog_events::{
    Event, EventSubject, MessageEdited, MessageSent, MessageType, MessagesEvent, Partition, Stream,
    StreamKey, Uuid,
};
use echolog_projectors::parked::{self, Skip};
use echolog_tests::{Tenant, eventually, root, run};
use serde_json::{Value, json};

use crate::cli::echolog;

/// Makes some messages impossible, as a constraint that somebody added by hand would.
const HINDER: &str =
    "ALTER TABLE messages.messages ADD CONSTRAINT hindrance CHECK (content <> 'poison') NOT VALID";
const HELP: &str = "ALTER TABLE messages.messages DROP CONSTRAINT hindrance";

/// Runs `echolog parked …`: exit code, standard output, standard error.
async fn parked(t: &Tenant, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    let output = echolog(t, &[&["parked"], arguments].concat(), "").await?;
    let text = |bytes| String::from_utf8(bytes).context("text");
    Ok((output.status.code(), text(output.stdout)?, text(output.stderr)?))
}

/// What `echolog parked list --json` shows.
async fn listed(t: &Tenant) -> anyhow::Result<Vec<Value>> {
    let (code, shown, errors) = parked(t, &["list", "--json"]).await?;
    anyhow::ensure!(code == Some(0), "{errors}");
    Ok(serde_json::from_str(&shown)?)
}

async fn verified(t: &Tenant) -> anyhow::Result<rebuild::Report> {
    rebuild::verify(&t.log()?, &t.database, None, |_, _| {}).await
}

/// What is said in a conversation, in order, with the numbers of the messages.
async fn said(t: &Tenant, conversation: Uuid) -> anyhow::Result<Vec<Vec<String>>> {
    let sql = "SELECT seq, content FROM messages.messages WHERE conversation_id";
    t.rows(&format!("{sql} = '{conversation}' ORDER BY event_seq")).await
}

/// Waits for the number of parked keys and events that the metrics show for messages.
async fn metered(t: &Tenant, keys: u32, events: u32) -> anyhow::Result<()> {
    let shown = [
        format!("echolog_parked_keys{{projection=\"messages\"}} {keys}\n"),
        format!("echolog_parked_events{{projection=\"messages\"}} {events}\n"),
    ];
    eventually(&format!("{keys} keys, {events} events"), || async {
        let metrics = echolog_tests::http_get(&t.metrics_url()).await?;
        Ok(shown.iter().all(|line| metrics.contains(line)))
    })
    .await
}

#[test]
fn what_waits_is_taken_up_again() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::PROJECTOR).await?;
        t.add(Roles::HANDLER).await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let (group, other) = (t.group(&[ada, bob]).await?, t.group(&[ada]).await?);
        let one = t.say(group, ada, "one").await?;
        assert_eq!(parked(&t, &["list"]).await?.1, "nothing is parked\n");

        t.database.execute(HINDER).await?;
        t.say(group, ada, "poison").await?;
        t.accept(ada, "messages.update_conversation", group, json!({ "title": "x" })).await?;
        // Who does not remember its messages can tell nothing about them; everything else goes on.
        t.stop_at(1).await?;
        t.add(Roles::HANDLER).await?;
        let body = json!({ "message_id": one, "emoji": "👍" });
        t.refuse(ErrorCode::Unavailable, ada, "messages.add_reaction", group, body).await?;
        t.say(other, ada, "elsewhere").await?;
        assert_eq!(said(&t, group).await?, [["1", "one"]]);
        assert_eq!(said(&t, other).await?, [["1", "elsewhere"]]);
        metered(&t, 1, 2).await?;

        let keys = listed(&t).await?;
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert_eq!(
            (&keys[0]["projection"], &keys[0]["key"], &keys[0]["events"]),
            (&json!("messages"), &json!(group), &json!(2))
        );
        assert!(keys[0]["error"].as_str().is_some_and(|error| error.contains("hindrance")));
        let report = verified(&t).await?;
        assert!(!report.is_clean() && report.to_string().contains("parked list"), "{report}");

        let key = group.to_string();
        let (code, _, errors) = parked(&t, &["retry", "--key", &key]).await?;
        assert_eq!(code, Some(1));
        assert!(errors.contains("still cannot be applied, and 1 wait behind it"), "{errors}");
        t.say(other, ada, "the projector has noticed").await?;
        metered(&t, 1, 2).await?;

        t.database.execute(HELP).await?;
        let (code, shown, errors) = parked(&t, &["retry", "--all"]).await?;
        assert_eq!((code, shown), (Some(0), format!("messages {key}: 2 events applied\n")));
        assert_eq!(errors, "");
        metered(&t, 0, 0).await?;
        t.say(group, bob, "three").await?;
        assert_eq!(said(&t, group).await?, [["1", "one"], ["2", "poison"], ["3", "three"]]);
        let report = verified(&t).await?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    });
}

#[test]
fn nothing_is_lost_while_it_is_taken_up() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let group = t.group(&[ada]).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (t.client.clone(), Arc::clone(&stop));
        let load = tokio::spawn(async move {
            let mut titles = 0;
            while !stopped.load(Ordering::Relaxed) {
                titles += 1;
                let body = json!({ "title": titles.to_string() });
                let request = Request::new(ada, "messages.update_conversation", group, body);
                let outcome = client.send(&request).await?;
                anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
            }
            anyhow::Ok(titles)
        });
        let events = Events(t.log()?);
        let key = group.to_string();
        for _ in 0..5 {
            t.database.execute(HINDER).await?;
            t.say(group, ada, "poison").await?;
            eventually("something waits", || async {
                Ok(parked::list(&t.database).await?.iter().any(|key| key.events > 20))
            })
            .await?;
            t.database.execute(HELP).await?;
            let projection = rebuild::find("messages")?;
            let retried = parked::retry(&t.database, projection, &key, &events).await?;
            assert!(retried.stuck.is_none() && retried.applied > 20, "{retried:?}");
        }
        stop.store(true, Ordering::Relaxed);
        let titles: u64 = load.await??;
        t.say(group, ada, "the end").await?;
        assert_eq!(
            t.value(&format!("SELECT title FROM messages.conversations WHERE id = '{group}'"))
                .await?,
            titles.to_string()
        );
        let numbers: Vec<String> =
            said(&t, group).await?.into_iter().map(|mut row| row.remove(0)).collect();
        assert_eq!(numbers, ["1", "2", "3", "4", "5", "6"]);
        let report = verified(&t).await?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    });
}

/// An event that nobody decided, for the message stream of a conversation of its own.
struct Poison {
    what: &'static str,
    event_type: &'static str,
    schema: &'static str,
    time: &'static str,
    payload: Vec<u8>,
    /// The projections that cannot take it.
    parked: &'static [&'static str],
}

const SENT: &str = "messages.message_sent";
const BOTH: &[&str] = &["audit", "messages"];

fn sent(conversation_id: Uuid, sender_user_id: Uuid, content: &str) -> MessageSent {
    MessageSent {
        conversation_id,
        message_id: clock::new_id(),
        sender_user_id,
        recipient_user_id: None,
        message_type: MessageType::Text,
        content: content.to_owned(),
        content_encrypted: false,
        metadata: serde_json::Map::new(),
        reply_to_message_id: None,
        thread_root_message_id: None,
        forward_from_message_id: None,
        forward_from_conversation_id: None,
        mentions: Vec::new(),
    }
}

fn encode(sent: MessageSent) -> Vec<u8> {
    Event::Messages(MessagesEvent::MessageSent(sent)).encode()
}

/// Everything wrong that comes to mind, for a conversation and one of its members.
fn poisons(group: Uuid, member: Uuid) -> Vec<Poison> {
    let poison = |what, payload| {
        let (event_type, schema, time) = (SENT, "1", "2026-01-01T00:00:00Z");
        Poison { what, event_type, schema, time, payload, parked: BOTH }
    };
    let good = || encode(sent(group, member, "forged"));
    let mut deep = json!(1);
    for _ in 0..1000 {
        deep = json!({ "a": deep });
    }
    let deep = MessageSent {
        metadata: deep.as_object().cloned().unwrap_or_default(),
        ..sent(group, member, "deep")
    };
    let edited = Event::Messages(MessagesEvent::MessageEdited(MessageEdited {
        conversation_id: group,
        message_id: clock::new_id(),
        editor_user_id: member,
        content: "of no message".to_owned(),
    }));
    vec![
        poison("nothing at all", Vec::new()),
        poison("no MessagePack", vec![0xc1; 64]),
        poison("MessagePack that ends too soon", good()[..20].to_vec()),
        poison("a length of four gigabytes", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        poison("another shape", vec![0x81, 0xa1, b'a', 0x01]),
        poison("nested deeply", encode(deep)),
        poison("an event of another conversation", encode(sent(clock::new_id(), member, "forged"))),
        poison("what PostgreSQL cannot keep", encode(sent(group, member, "\0"))),
        Poison { event_type: "messages.dreamt", ..poison("an unknown type", good()) },
        Poison { event_type: "", ..poison("no type", good()) },
        Poison {
            event_type: "messages.participant_joined",
            ..poison("the shape of another type", good())
        },
        Poison { schema: "2", ..poison("a newer shape", good()) },
        Poison { schema: "one", ..poison("no number", good()) },
        Poison {
            time: "0000-01-01T00:00:00Z",
            parked: &["audit"],
            ..poison(
                "a year that no calendar of PostgreSQL has",
                encode(sent(group, member, "old")),
            )
        },
        Poison {
            time: "9999-12-31T23:59:59Z",
            parked: &[],
            ..poison("the end of time", encode(sent(group, member, "new")))
        },
        Poison {
            event_type: edited.event_type().name,
            parked: &["messages"],
            ..poison("an edit of no message", edited.encode())
        },
    ]
}

/// Writes a message straight into the log.
pub(crate) async fn write(
    t: &Tenant,
    subject: impl ToString,
    headers: &[(&str, &str)],
    payload: Vec<u8>,
) -> anyhow::Result<u64> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let js = t.jetstream().await?;
    let ack = js.publish_with_headers(subject.to_string(), map, payload.into()).await?.await?;
    Ok(ack.sequence)
}

pub(crate) fn subject(t: &Tenant, stream: Stream, id: Uuid) -> EventSubject {
    EventSubject::new(&t.config.tenant, StreamKey::of(stream, id))
}

/// The projections that have set an id aside.
async fn parked_in(t: &Tenant, id: Uuid) -> anyhow::Result<Vec<String>> {
    let sql = "SELECT projection FROM projection.parked WHERE error IS NOT NULL AND stream_id";
    let rows = t.rows(&format!("{sql} = '{id}' ORDER BY 1")).await?;
    Ok(rows.into_iter().flatten().collect())
}

#[test]
fn poison_in_the_log_stops_its_own_key_alone() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let healthy = t.group(&[ada]).await?;
        let mut groups = BTreeMap::new();
        for index in 0..poisons(healthy, ada).len() {
            let group = t.group(&[ada]).await?;
            t.say(group, ada, "before").await?;
            let poison = poisons(group, ada).remove(index);
            let headers = [
                ("ce-type", poison.event_type),
                ("ce-schema", poison.schema),
                ("ce-time", poison.time),
            ];
            write(&t, subject(&t, Stream::Message, group), &headers, poison.payload).await?;
            groups.insert(group, (poison.what, poison.parked));
        }
        // Not where it belongs.
        let misplaced = t.group(&[ada]).await?;
        let here = subject(&t, Stream::Message, misplaced);
        let partition = Partition::all().find(|it| *it != here.partition).context("sixteen")?;
        let there = EventSubject { partition, ..here };
        let headers = [("ce-type", SENT), ("ce-schema", "1")];
        write(&t, there, &headers, encode(sent(misplaced, ada, "forged"))).await?;
        groups.insert(misplaced, ("another partition", BOTH));
        // No subject of an event, so nobody's event: passed over.
        let tenant = &t.config.tenant;
        for nobody in
            ["user", "user.00", "dream.00.a", "message.00.a.b", "message.0.a", "user.99.a"]
        {
            write(&t, format!("evt.{tenant}.{nobody}"), &headers, b"x".to_vec()).await?;
        }
        let long = format!("evt.{tenant}.user.00.{}", "a".repeat(3000));
        write(&t, long, &headers, b"x".to_vec()).await?;

        t.say(healthy, ada, "all is well").await?;
        assert_eq!(said(&t, healthy).await?, [["1", "all is well"]]);
        for (group, (what, expected)) in &groups {
            assert_eq!(parked_in(&t, *group).await?, *expected, "{what}");
            // It waits behind the poison.
            let body = json!({ "title": *what });
            t.accept(ada, "messages.update_conversation", group, body).await?;
        }
        assert_eq!(
            t.value("SELECT count(*) FROM messages.messages WHERE content = 'forged'").await?,
            "0"
        );
        assert!(!verified(&t).await?.is_clean());

        give_everything_up(&t).await?;
        for (group, (what, _)) in &groups {
            let title = format!("SELECT title FROM messages.conversations WHERE id = '{group}'");
            assert_eq!(t.value(&title).await?, *what);
            t.say(*group, ada, "after").await?;
        }
        let report = verified(&t).await?;
        assert!(report.is_clean(), "{report}");
        assert!(report.to_string().contains("gave it up"), "{report}");
        for name in ["messages", "audit"] {
            rebuild::run(&t.log()?, &t.database, name, Rebuild::default(), |_| {}).await?;
        }
        assert_eq!(listed(&t).await?, Vec::<Value>::new());
        t.say(healthy, ada, "still well").await?;
        Ok(())
    });
}

/// Gives up what holds a key up, until nothing does.
async fn give_everything_up(t: &Tenant) -> anyhow::Result<()> {
    let events = Events(t.log()?);
    loop {
        let keys = parked::list(&t.database).await?;
        if keys.is_empty() {
            return Ok(());
        }
        for key in keys {
            let (reason, by) = ("written by hand".to_owned(), "a test".to_owned());
            let skip = Skip { seq: key.seq, reason, by, at: clock::now() };
            parked::skip(&t.database, key.projection, &key.key, &skip, &events).await?;
        }
    }
}

#[test]
fn the_same_event_once_more_is_poison() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let group = t.group(&[ada]).await?;
        let id = clock::new_id();
        let body = json!({ "message_id": id, "content": "once" });
        let outcome = t.accept(ada, "messages.send_message", group, body).await?;
        let stream = t.jetstream().await?.get_stream(format!("EVT_{}", t.config.tenant)).await?;
        let message = stream.get_raw_message(outcome.seq.context("an event")?).await?;
        let header = |name: &str| message.headers.get(name).map(ToString::to_string);
        let names = ["ce-id", "ce-type", "ce-schema", "ce-actor", "ce-command", "echolog-digest"];
        let headers: Vec<(&str, String)> =
            names.into_iter().filter_map(|name| Some((name, header(name)?))).collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        write(&t, message.subject.as_str(), &headers, message.payload.to_vec()).await?;

        t.user("bob").await?;
        assert!(parked_in(&t, group).await?.contains(&"messages".to_owned()));
        give_everything_up(&t).await?;
        t.say(group, ada, "twice").await?;
        assert_eq!(said(&t, group).await?, [["1", "once"], ["2", "twice"]]);
        let report = verified(&t).await?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    });
}

#[test]
fn what_only_some_projections_can_take_is_named() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let eve = clock::new_id();
        // Longer than the column of a name is.
        let name: String = (0..500).map(|_| clock::new_id().simple().to_string()).collect();
        let body = json!({
            "user_id": eve, "username": name, "email": null, "phone_number": null,
            "password_hash": null, "display_name": "Eve", "user_type": "web", "role": "user",
            "account_status": "active",
        });
        let payload = echolog_commands::ContentType::MessagePack.encode(&body);
        let headers = [("ce-type", "auth.user_registered"), ("ce-schema", "1")];
        write(&t, subject(&t, Stream::User, eve), &headers, payload).await?;
        t.accept(ada, "users.update_profile", ada, json!({ "bio": "goes on" })).await?;
        assert!(parked_in(&t, eve).await?.contains(&"auth".to_owned()));
        give_everything_up(&t).await?;
        let report = verified(&t).await?.to_string();
        assert!(report.contains("accounts and conversations that only decisions know"), "{report}");
        assert!(report.contains("auth      without event"), "{report}");
        assert!(!report.contains("differs"), "{report}");
        Ok(())
    });
}

#[test]
fn giving_up_is_told_and_kept() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let group = t.group(&[ada]).await?;
        let headers = [("ce-type", "messages.dreamt"), ("ce-schema", "1")];
        let seq = write(&t, subject(&t, Stream::Message, group), &headers, Vec::new()).await?;
        let body = json!({ "title": "waits" });
        let waits = t.accept(ada, "messages.update_conversation", group, body).await?;
        let (seq, waits) = (seq.to_string(), waits.seq.unwrap_or_default().to_string());
        let key = group.to_string();
        let skip = |projection, key, seq| {
            let reason = ["--reason", "written by hand", "--by", "ada"];
            [&["skip", "--projection", projection, "--key", key, "--seq", seq][..], &reason]
                .concat()
        };

        let (code, _, errors) = parked(&t, &skip("messages", &key, &waits)).await?;
        assert_eq!(code, Some(1));
        assert!(errors.contains(&format!("that is event {seq}")), "{errors}");
        let (code, _, errors) = parked(&t, &skip("messages", "nobody", &seq)).await?;
        assert_eq!(code, Some(1));
        assert!(errors.contains("`echolog parked list` shows what is"), "{errors}");
        let (code, _, errors) = parked(&t, &["retry", "--key", "nobody"]).await?;
        assert_eq!((code, errors.contains("`echolog parked list`")), (Some(1), true));
        let (code, _, errors) = parked(&t, &skip("dreams", &key, &seq)).await?;
        assert_eq!((code, errors.contains("there are auth, users")), (Some(1), true));
        for usage in [
            &["retry"][..],
            &["retry", "--key", &key, "--all"],
            &["skip", "--projection", "messages", "--key", &key, "--seq", &seq],
            &["skip", "--projection", "messages", "--key", &key, "--seq", &seq, "--reason", ""],
        ] {
            assert_eq!(parked(&t, usage).await?.0, Some(2), "{usage:?}");
        }

        for projection in BOTH {
            let (code, shown, errors) = parked(&t, &skip(projection, &key, &seq)).await?;
            assert_eq!((code, errors.as_str()), (Some(0), ""));
            assert!(shown.contains("is given up") && shown.contains("1 events applied"), "{shown}");
        }
        assert_eq!(t.value("SELECT title FROM messages.conversations").await?, "waits");
        let (_, shown, _) =
            parked(&t, &["list", "--skipped", "--json", "--projection", "messages"]).await?;
        let shown: Value = serde_json::from_str(&shown)?;
        assert_eq!(shown[0]["seq"].to_string(), seq);
        assert_eq!(shown[0]["reason"], "written by hand");
        assert_eq!(shown[0]["skipped_by"], "ada");
        let output = echolog(&t, &["verify", "messages"], "").await?;
        let shown = String::from_utf8(output.stdout)?;
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(shown.contains("ada gave it up (written by hand)"), "{shown}");
        Ok(())
    });
}

/// The rules are sound, and speak of metrics that exist.
#[test]
fn the_alerts_are_sound() -> anyhow::Result<()> {
    let path = root().join("docs/alerts.yml");
    let rules = std::fs::read_to_string(&path)?;
    let metrics = echolog::metrics::Metrics::new()?;
    metrics.touch();
    let known: Vec<String> =
        metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
    let expressions = rules.lines().filter(|line| line.contains("expr:")).collect::<String>();
    let named = expressions
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("echolog_"));
    for name in named {
        assert!(known.iter().any(|it| name.trim_end_matches("_bucket") == it), "{name}");
    }
    if let Some(promtool) = std::env::var_os("ECHOLOG_PROMTOOL") {
        let output =
            std::process::Command::new(promtool).args(["check", "rules"]).arg(path).output()?;
        assert!(output.status.success(), "{output:?}");
    }
    Ok(())
}
