//! The guided tour: people talk, and Echolog shows what became of it.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use echolog_commands::{Outcome, Status};
use echolog_events::Uuid;
use echolog_nats::{Bus, EventLog};
use echolog_projectors::TextTable;
use echolog_projectors::db::Database;
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::Dev;
use crate::client::{Client, Request};
use crate::clock;
use crate::projector::rebuild::{self, Rebuild};

/// Real conversations in nine languages; see `tests/data/NOTICE.md`.
const CONVERSATIONS: &str = include_str!("../../../tests/data/conversations.json");

#[derive(Debug, Deserialize)]
struct Topic {
    language: String,
    topic: String,
    exchanges: Vec<Vec<String>>,
}

/// The people of the tour: user name, display name, language, time zone.
const PEOPLE: [(&str, &str, &str, &str); 8] = [
    ("ada", "Ada Lovelace", "en", "Europe/London"),
    ("emmy", "Emmy Noether", "de", "Europe/Berlin"),
    ("sophie", "Sophie Germain", "fr", "Europe/Paris"),
    ("santiago", "Santiago Ramón y Cajal", "es", "Europe/Madrid"),
    ("sofia", "Софья Ковалевская", "ru", "Europe/Moscow"),
    ("cahit", "Cahit Arf", "tr", "Europe/Istanbul"),
    ("kiyoshi", "伊藤 清", "ja", "Asia/Tokyo"),
    ("srinivasa", "श्रीनिवास रामानुजन", "hi", "Asia/Kolkata"),
];

struct Tour<'d> {
    dev: &'d Dev,
    bus: Bus,
    client: Client,
    database: Database,
    people: Vec<Uuid>,
    latencies: Vec<Duration>,
}

pub(super) async fn play(dev: &Dev) -> anyhow::Result<()> {
    let bus = dev.config.bus("tour").await?;
    let client = Client::connect(bus.clone(), dev.config.names()?).await?;
    let database = dev.config.database().await?;
    let mut tour = Tour { dev, bus, client, database, people: Vec::new(), latencies: Vec::new() };
    let topics: Vec<Topic> = serde_json::from_str(CONVERSATIONS)?;

    say(
        "People register. Each name is claimed once and for all; Ada has a password, which never leaves memory.",
    );
    tour.register().await?;
    say("They talk: real text in nine languages, pairwise, in a group and in a channel.");
    let group = tour.talk(&topics).await?;
    say("They edit, react, reply, forward, delete and read.");
    let message = tour.interact(group).await?;
    say("What the rules say no to gets a stable error:");
    tour.refusals(group).await?;
    tour.show(group, message).await?;
    say("The projection `messages` is rebuilt from the log while everybody goes on talking:");
    tour.rebuild(group).await?;
    say("Every counter is recounted, and every table compared with a fold of the log:");
    tour.verify().await?;
    tour.summary().await
}

/// To this width on a terminal, where some characters take two places and some none.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn say(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m▸ {text}\x1b[0m");
    } else {
        println!("\n▸ {text}");
    }
}

impl Tour<'_> {
    /// Sends a command; anything but accepted ends the tour.
    async fn send(
        &mut self,
        actor: impl ToString,
        name: &str,
        target: impl ToString,
        body: Value,
    ) -> anyhow::Result<Outcome> {
        let request = Request::new(actor, name, target, body);
        let begun = Instant::now();
        let outcome = self.client.send(&request).await?;
        self.latencies.push(begun.elapsed());
        ensure!(outcome.status == Status::Accepted, "{name}: {:?}", outcome.error);
        Ok(outcome)
    }

    async fn register(&mut self) -> anyhow::Result<()> {
        // A second tour on the same data needs other names.
        let suffix = clock::new_id().simple().to_string().split_off(26);
        for (index, (username, display_name, language, timezone)) in PEOPLE.into_iter().enumerate()
        {
            let id = clock::new_id();
            let username = format!("{username}-{suffix}");
            let mut body = json!({
                "username": username, "display_name": display_name,
                "email": format!("{username}@example.org"),
                "user_type": if index % 2 == 0 { "web" } else { "mobile" },
            });
            if index == 0 {
                body["password"] = json!("the analytical engine weaves patterns");
            }
            if index == 1 {
                let digits = clock::new_id().as_u128() % 10_000_000;
                body["phone_number"] = json!(format!("+49301{digits:07}"));
            }
            self.send(format!("anon-{suffix}"), "auth.register_user", id, body).await?;
            let profile = json!({
                "full_name": display_name, "bio": format!("Writes in `{language}`."),
                "language_code": language, "timezone": timezone,
                "avatar_url": format!("https://example.org/avatars/{username}.png"),
            });
            self.send(id, "users.update_profile", id, profile).await?;
            self.people.push(id);
        }
        println!("  {} people, {} of them with a password", self.people.len(), 1);
        Ok(())
    }

    async fn conversation(
        &mut self,
        kind: &str,
        title: Option<&str>,
        members: &[Uuid],
    ) -> anyhow::Result<Uuid> {
        let id = clock::new_id();
        let (creator, others) = members.split_first().context("a conversation has members")?;
        let mut body = json!({ "conversation_type": kind, "member_user_ids": others });
        if let Some(title) = title {
            body["title"] = json!(title);
            body["description"] = json!(format!("Everything about {title}."));
        }
        self.send(creator, "messages.create_conversation", id, body).await?;
        Ok(id)
    }

    async fn message(
        &mut self,
        conversation: Uuid,
        sender: Uuid,
        mut body: Value,
    ) -> anyhow::Result<Uuid> {
        let id = clock::new_id();
        body["message_id"] = json!(id);
        self.send(sender, "messages.send_message", conversation, body).await?;
        Ok(id)
    }

    async fn talk(&mut self, topics: &[Topic]) -> anyhow::Result<Uuid> {
        let people = self.people.clone();
        let mut direct = BTreeMap::new();
        let mut sent = 0;
        for (index, topic) in topics.iter().enumerate() {
            let pair = (index % people.len(), (index + 1 + index / people.len()) % people.len());
            let key = (pair.0.min(pair.1), pair.0.max(pair.1));
            let members = [people[key.0], people[key.1]];
            let conversation = match direct.get(&key) {
                Some(conversation) => *conversation,
                None => {
                    let conversation = self.conversation("direct", None, &members).await?;
                    direct.insert(key, conversation);
                    conversation
                }
            };
            for (turn, line) in topic.exchanges.iter().flatten().take(24).enumerate() {
                self.message(conversation, members[turn % 2], json!({ "content": line })).await?;
                sent += 1;
            }
        }
        let group = self.conversation("group", Some("greetings of the world"), &people).await?;
        for topic in topics.iter().filter(|topic| topic.topic == "greetings") {
            let speaker = PEOPLE.iter().position(|person| person.2 == topic.language).unwrap_or(0);
            for line in topic.exchanges.iter().flatten().take(6) {
                self.message(group, people[speaker], json!({ "content": line })).await?;
                sent += 1;
            }
        }
        let channel = self.conversation("channel", Some("announcements"), &people).await?;
        self.message(channel, people[0], json!({ "content": "The tour has begun." })).await?;
        println!(
            "  {} direct conversations, a group and a channel; {} messages",
            direct.len(),
            sent + 1
        );
        Ok(group)
    }

    async fn interact(&mut self, group: Uuid) -> anyhow::Result<Uuid> {
        let [ada, emmy, sophie, santiago, sofia, cahit, kiyoshi, srinivasa] = self.people[..]
        else {
            bail!("the tour has lost someone");
        };
        let first = self
            .message(
                group,
                ada,
                json!({ "content": "Who knows a good restauraunt?", "mentions": [emmy, sophie] }),
            )
            .await?;
        let edit = json!({ "message_id": first, "content": "Who knows a good restaurant?" });
        self.send(ada, "messages.edit_message", group, edit).await?;
        let reply = json!({ "content": "In Göttingen, yes!", "reply_to_message_id": first });
        let reply = self.message(group, emmy, reply).await?;
        self.message(
            group,
            sophie,
            json!({ "content": "Moi aussi.", "reply_to_message_id": reply }),
        )
        .await?;
        for (user, emoji) in [(emmy, "👍"), (sophie, "❤️"), (sofia, "👍"), (cahit, "🎉")]
        {
            let body = json!({ "message_id": first, "emoji": emoji });
            self.send(user, "messages.add_reaction", group, body).await?;
        }
        self.send(
            cahit,
            "messages.remove_reaction",
            group,
            json!({ "message_id": first, "emoji": "🎉" }),
        )
        .await?;
        for (sender, kind, metadata) in RICH_MESSAGES {
            let metadata: Value = serde_json::from_str(metadata)?;
            let body = json!({ "message_type": kind, "metadata": metadata });
            self.message(group, self.people[*sender], body).await?;
        }
        let forward = json!({ "content": "Worth a look.", "forward_from_message_id": first });
        self.message(group, santiago, forward).await?;
        let slip = self.message(group, kiyoshi, json!({ "content": "(sent by mistake)" })).await?;
        self.send(kiyoshi, "messages.delete_message", group, json!({ "message_id": slip })).await?;
        for (user, upto) in [(emmy, reply), (sophie, reply), (sofia, first)] {
            self.send(user, "messages.mark_delivered", group, json!({ "message_id": reply }))
                .await?;
            self.send(user, "messages.mark_read", group, json!({ "message_id": upto })).await?;
        }
        self.send(
            ada,
            "messages.update_conversation",
            group,
            json!({
                "title": "restaurants of the world",
                "avatar_url": "https://example.org/restaurants.png",
            }),
        )
        .await?;
        self.send(ada, "messages.change_role", group, json!({ "user_id": emmy, "role": "admin" }))
            .await?;
        self.send(emmy, "messages.pin_message", group, json!({ "message_id": first })).await?;
        self.send(emmy, "messages.pin_message", group, json!({ "message_id": reply })).await?;
        self.send(ada, "messages.unpin_message", group, json!({ "message_id": reply })).await?;
        self.send(emmy, "messages.remove_member", group, json!({ "user_id": srinivasa })).await?;
        self.send(emmy, "messages.add_members", group, json!({ "user_ids": [srinivasa] })).await?;
        self.send(cahit, "messages.leave_conversation", group, json!({})).await?;
        self.send(ada, "messages.add_members", group, json!({ "user_ids": [cahit] })).await?;
        self.send(emmy, "messages.remove_member", group, json!({ "user_id": cahit })).await?;
        self.send(ada, "users.block_user", ada, json!({ "user_id": cahit, "reason": "spoilers" }))
            .await?;
        self.send(ada, "users.block_user", ada, json!({ "user_id": sofia })).await?;
        self.send(ada, "users.unblock_user", ada, json!({ "user_id": sofia })).await?;
        println!(
            "  an edit, four reactions, a thread, {} kinds of rich messages, a deletion, a block",
            RICH_MESSAGES.len()
        );
        Ok(first)
    }

    async fn refusals(&mut self, group: Uuid) -> anyhow::Result<()> {
        let (ada, cahit) = (self.people[0], self.people[5]);
        let attempts = [
            (
                cahit,
                "messages.send_message",
                group,
                json!({ "message_id": clock::new_id(), "content": "still here" }),
            ),
            (ada, "messages.leave_conversation", group, json!({})),
            (ada, "messages.send_message", group, json!({ "message_id": "42", "content": "?" })),
            (
                ada,
                "messages.create_conversation",
                clock::new_id(),
                json!({ "conversation_type": "direct", "member_user_ids": [cahit] }),
            ),
        ];
        for (actor, name, target, body) in attempts {
            let outcome = self.client.send(&Request::new(actor, name, target, body)).await?;
            let error =
                outcome.error.with_context(|| format!("{name} should have been refused"))?;
            println!("  {name}: {} — {}", error.code.name(), error.message);
        }
        Ok(())
    }

    async fn show(&mut self, group: Uuid, message: Uuid) -> anyhow::Result<()> {
        // The next command waits until the tables show everything before it.
        let ada = self.people[0];
        let request =
            Request::new(ada, "users.update_profile", ada, json!({ "bio": "Has taken the tour." }));
        let outcome = self.client.send(&request.projected()).await?;
        ensure!(outcome.projected == Some(true), "the tables lag behind: {outcome:?}");
        say("Unread messages, exact and without a row per reader:");
        self.table(&format!(
            "SELECT p.display_name AS member, c.role, c.unread_count AS unread, c.last_read_at IS NOT NULL AS has_read, c.is_active AS active
             FROM messages.conversation_participants c JOIN users.profiles p USING (user_id)
             WHERE c.conversation_id = '{group}' ORDER BY c.unread_count, p.display_name"
        )).await?;
        say("The last page of the group, straight from PostgreSQL:");
        self.table(&format!(
            "SELECT m.seq, p.display_name AS sender, m.message_type AS type, left(coalesce(nullif(m.content, ''), m.metadata::text), 40) AS content, m.is_edited AS edited, m.is_deleted AS deleted, m.reaction_count AS reactions
             FROM messages.messages m JOIN users.profiles p ON p.user_id = m.sender_user_id
             WHERE m.conversation_id = '{group}' ORDER BY m.seq DESC LIMIT 14"
        )).await?;
        say(
            "The audit trail of one message: who changed what, by which command, at which place in the log:",
        );
        self.table(&format!(
            "SELECT c.event_seq AS seq, p.display_name AS actor, right(c.command_id::text, 12) AS command,
                 c.table_name || ' ' || c.operation AS change, array_to_string(c.changed_fields, ' ') AS changed,
                 c.old_data->>'content' AS old, c.new_data->>'content' AS new
             FROM audit.record_changes AS c LEFT JOIN users.profiles AS p ON p.user_id::text = c.actor
             WHERE c.record_id = '{message}' ORDER BY c.event_seq"
        )).await
    }

    async fn table(&self, sql: &str) -> anyhow::Result<()> {
        let TextTable { columns, rows } = self.database.text_table(sql).await?;
        let header: Vec<String> = columns;
        let width = |index: usize| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            cells.chain(header.get(index)).map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in std::iter::once(&header).chain(&rows) {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
            println!("  {}", cells.join("  ").trim_end());
        }
        ensure!(!rows.is_empty(), "nothing to show: {sql}");
        Ok(())
    }

    async fn rebuild(&mut self, group: Uuid) -> anyhow::Result<()> {
        let (client, people) = (self.client.clone(), self.people.clone());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let talkers = tokio::spawn(async move {
            let mut sent = 0_usize;
            while !*stopped.borrow() {
                let body = json!({ "message_id": clock::new_id(), "content": "… and meanwhile we talk on." });
                let request = Request::new(people[sent % 2], "messages.send_message", group, body);
                let outcome = client.send(&request).await?;
                ensure!(outcome.status == Status::Accepted, "{:?}", outcome.error);
                sent += 1;
            }
            anyhow::Ok(sent)
        });
        let log = EventLog::new(self.bus.clone(), self.dev.config.names()?);
        let begun = Instant::now();
        let rebuilt =
            rebuild::run(&log, &self.database, "messages", Rebuild::default(), |_| {}).await;
        let _ = stop.send(true);
        let sent = talkers.await??;
        let report = rebuilt?;
        println!(
            "{report}\n  exchanged after {:.1?}; {sent} messages were sent meanwhile",
            begun.elapsed()
        );
        Ok(())
    }

    async fn verify(&self) -> anyhow::Result<()> {
        let log = EventLog::new(self.bus.clone(), self.dev.config.names()?);
        let report = rebuild::verify(&log, &self.database, None, |_, _| {}).await?;
        println!("{report}");
        ensure!(report.is_clean(), "verify has found differences");
        Ok(())
    }

    async fn summary(&mut self) -> anyhow::Result<()> {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies.len().saturating_sub(1);
            self.latencies.get((last as f64 * share) as usize).copied().unwrap_or_default()
        };
        let metrics = &self.dev.running.metrics.handler;
        say("The run in figures (all of them at /metrics):");
        let count = self.latencies.len();
        println!(
            "  commands            {count}, one after the other, each durable before its outcome"
        );
        println!("  outcome             p50 {:.1?}, p99 {:.1?}", at(0.5), at(0.99));
        println!(
            "  one append          {:.1} ms on average",
            1e3 * metrics.append_seconds.get_sample_sum()
                / metrics.append_seconds.get_sample_count().max(1) as f64
        );
        println!(
            "  log                 {} events",
            EventLog::new(self.bus.clone(), self.dev.config.names()?).head().await?
        );
        Ok(())
    }
}

/// Messages that are more than text: who sends them, their type and metadata.
const RICH_MESSAGES: &[(usize, &str, &str)] = &[
    (
        1,
        "image",
        r#"{"file_url":"https://example.org/goettingen.jpg","width":1920,"height":1080,"size":2457600,"mime_type":"image/jpeg","caption":"Göttingen"}"#,
    ),
    (
        2,
        "video",
        r#"{"file_url":"https://example.org/paris.mp4","width":1280,"height":720,"duration":12,"mime_type":"video/mp4"}"#,
    ),
    (
        3,
        "audio",
        r#"{"file_url":"https://example.org/neurons.ogg","duration":31,"mime_type":"audio/ogg"}"#,
    ),
    (
        4,
        "document",
        r#"{"file_url":"https://example.org/top.pdf","file_name":"top.pdf","mime_type":"application/pdf"}"#,
    ),
    (0, "location", r#"{"latitude":51.5074,"longitude":-0.1278,"name":"London"}"#),
    (6, "contact", r#"{"name":"伊藤 清","phone_number":"+81312345678"}"#),
    (1, "sticker", r#"{"sticker_id":"noether-ring"}"#),
    (2, "poll", r#"{"question":"Where do we eat?","options":["Göttingen","Paris","Tokyo"]}"#),
];
