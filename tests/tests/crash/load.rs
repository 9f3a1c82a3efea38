//! People who go on talking whatever dies: each command is asked for under one id until it has
//! an outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::HeaderMap;
use echolog::client::{Client, ClientError, Request};
use echolog::clock;
use echolog::retry::Retry;
use echolog_commands::{ContentType, Outcome, Status};
use echolog_events::{Partition, Uuid, partition_of};
use echolog_tests::cluster::Cluster;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::chance::Chance;

/// How long anyone may wait for an outcome: longer than any fault of these tests lasts.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) request: Request,
    pub(super) outcome: Outcome,
    /// How long that took.
    pub(super) waited: Duration,
}

impl Done {
    async fn ask(client: &Client, request: Request) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let outcome = ask(client, &request).await?;
        Ok(Self { request, outcome, waited: begun.elapsed() })
    }
}

/// Asks until there is an outcome that stands: accepted or rejected.
pub(super) async fn ask(client: &Client, request: &Request) -> anyhow::Result<Outcome> {
    let deadline = Instant::now() + PATIENCE;
    let mut retry = Retry::default();
    loop {
        let answer = client.send(request).await;
        match &answer {
            Ok(outcome) if outcome.status != Status::Failed => return Ok(answer?),
            Ok(_) | Err(ClientError::Bus(_) | ClientError::Silence(..)) => {}
            Err(ClientError::Unreadable(_)) => return Ok(answer?),
        }
        anyhow::ensure!(Instant::now() < deadline, "{answer:?} in the end for {request:?}");
        retry.pause().await;
    }
}

/// Asks for something that has to be accepted.
pub(super) async fn accept(client: &Client, request: Request) -> anyhow::Result<Done> {
    let done = Done::ask(client, request).await?;
    anyhow::ensure!(done.outcome.status == Status::Accepted, "{done:?}");
    Ok(done)
}

/// Sends a command, once, and does not wait.
pub(super) async fn send_once(cluster: &Cluster, request: &Request) -> anyhow::Result<()> {
    let Request { actor, domain, command, target, id, body, .. } = request;
    let subject = format!("cmd.main.{actor}.{domain}.{command}.{target}");
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id.to_string());
    headers.insert("Content-Type", "application/json");
    Ok(cluster.bus.publish_with_headers(subject, headers, body.to_string().into()).await?)
}

/// Asks a handler to register a user, once, and waits for as long as it looks for somebody who
/// decides.
pub(super) async fn ask_once(cluster: &Cluster, username: &str) -> anyhow::Result<Outcome> {
    let subject = format!("req.main.anon-crash.auth.register_user.{}", clock::new_id());
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", clock::new_id().to_string());
    headers.insert("Content-Type", "application/json");
    let body = json!({ "username": username }).to_string().into();
    let answer = cluster.bus.request(subject, headers, body, Duration::from_secs(20)).await?;
    let outcome = ContentType::Json.decode_outcome(&answer);
    outcome.map_err(|rejection| anyhow::anyhow!(rejection.message))
}

/// A new id in one of the partitions that will do.
pub(super) fn id_in(will_do: impl Fn(Partition) -> bool) -> Uuid {
    std::iter::repeat_with(clock::new_id)
        .find(|id| will_do(partition_of(&id.to_string())))
        .expect("ids do not end")
}

/// A request to register a user.
pub(super) fn register(id: Uuid, username: &str) -> Request {
    Request::new("anon-crash", "auth.register_user", id, json!({ "username": username }))
}

/// A request to open a group.
pub(super) fn group(id: Uuid, owner: Uuid, members: &[Uuid]) -> Request {
    let body = json!({
        "conversation_type": "group", "title": "a group", "member_user_ids": members,
    });
    Request::new(owner, "messages.create_conversation", id, body)
}

/// A request to do something to another user.
pub(super) fn to_user(actor: Uuid, command: &str, other: Uuid) -> Request {
    Request::new(actor, command, actor, json!({ "user_id": other }))
}

/// A request to open a conversation of two.
pub(super) fn direct(id: Uuid, opener: Uuid, other: Uuid) -> Request {
    let body = json!({ "conversation_type": "direct", "member_user_ids": [other] });
    Request::new(opener, "messages.create_conversation", id, body)
}

/// A request to say something.
pub(super) fn say(conversation: Uuid, sender: Uuid, text: &str) -> Request {
    let body = json!({ "message_id": clock::new_id(), "content": text });
    Request::new(sender, "messages.send_message", conversation, body)
}

/// What everybody knows.
#[derive(Debug, Default)]
struct Town {
    users: Vec<Uuid>,
    groups: Vec<Uuid>,
    /// Conversation, message and sender.
    messages: Vec<(Uuid, Uuid, Uuid)>,
}

/// A load under way.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    people: JoinSet<anyhow::Result<Vec<Done>>>,
    done: Vec<Done>,
}

impl Load {
    /// Lets this many people register, open a group each and begin to talk.
    pub(super) async fn start(client: &Client, people: usize, seed: u64) -> anyhow::Result<Self> {
        let mut done = Vec::new();
        let mut town = Town::default();
        for number in 0..people {
            let id = clock::new_id();
            let username = format!("person_{seed:x}_{number}");
            done.push(accept(client, register(id, &username)).await?);
            town.users.push(id);
        }
        for owner in town.users.clone() {
            let id = clock::new_id();
            let others: Vec<Uuid> =
                town.users.iter().copied().filter(|user| *user != owner).collect();
            done.push(accept(client, group(id, owner, &others)).await?);
            town.groups.push(id);
        }
        let users = town.users.clone();
        let town = Arc::new(Mutex::new(town));
        let stop = Arc::new(AtomicBool::new(false));
        let people = users.into_iter().zip(1_u64..).map(|(user, number)| {
            let chance = Chance::new(seed.wrapping_add(number));
            let person = Person { user, client: client.clone(), town: Arc::clone(&town), chance };
            person.talk(Arc::clone(&stop))
        });
        Ok(Self { people: people.collect(), stop, done })
    }

    /// Lets everybody finish their sentence and returns what was asked for in all.
    pub(super) async fn stop(mut self) -> anyhow::Result<Vec<Done>> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(said) = self.people.join_next().await {
            self.done.extend(said.context("a client panicked")??);
        }
        Ok(self.done)
    }
}

/// One of the people.
struct Person {
    user: Uuid,
    client: Client,
    town: Arc<Mutex<Town>>,
    chance: Chance,
}

impl Person {
    async fn talk(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Done>> {
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let request = self.request();
            let next = Done::ask(&self.client, request).await?;
            if next.outcome.status == Status::Accepted {
                self.learn(&next.request);
            }
            done.push(next);
        }
        Ok(done)
    }

    /// Something to do: mostly to say something, else to do something to what was said.
    fn request(&mut self) -> Request {
        let town = self.town.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, chance) = (self.user, &mut self.chance);
        let group = *chance.pick(&town.groups).expect("everybody has a group");
        let text = format!("{:x}", chance.next());
        // The latest words get the most attention.
        let recent = &town.messages[town.messages.len().saturating_sub(200)..];
        let mine: Vec<_> = recent.iter().filter(|(_, _, sender)| *sender == user).collect();
        let (kind, any) = (chance.below(100), chance.pick(recent).copied());
        match (kind, any, chance.pick(&mine)) {
            (0..4, ..) => Request::new(user, "users.update_profile", user, json!({ "bio": text })),
            // A name that others are after as well.
            (4..6, ..) => register(clock::new_id(), &format!("shared_{}", chance.below(20))),
            (6, ..) => {
                let body = json!({ "username": format!("u{text}"), "password": "a long password" });
                Request::new("anon-crash", "auth.register_user", clock::new_id(), body)
            }
            (7..9, ..) => {
                let other = chance.pick(&town.users).copied().unwrap_or(user);
                let body = json!({ "conversation_type": "direct", "member_user_ids": [other] });
                Request::new(user, "messages.create_conversation", clock::new_id(), body)
            }
            (9..20, Some((group, message, _)), _) => {
                let body = json!({ "message_id": message, "emoji": chance.pick(&["👍", "❤️"]) });
                Request::new(user, "messages.add_reaction", group, body)
            }
            (20..24, Some((group, message, _)), _) => {
                let body = json!({ "message_id": message, "emoji": "👍" });
                Request::new(user, "messages.remove_reaction", group, body)
            }
            (24..34, Some((group, message, _)), _) => {
                Request::new(user, "messages.mark_read", group, json!({ "message_id": message }))
            }
            (34..44, _, Some((group, message, _))) => {
                let body = json!({ "message_id": message, "content": text });
                Request::new(user, "messages.edit_message", *group, body)
            }
            (44..50, _, Some((group, message, _))) => {
                let body = json!({ "message_id": message });
                Request::new(user, "messages.delete_message", *group, body)
            }
            _ => say(group, user, &text),
        }
    }

    /// Others hear of what was said.
    fn learn(&self, request: &Request) {
        let message = request.body["message_id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let group = Uuid::try_parse(&request.target).ok();
        if let (Some(group), Some(message), "send_message") = (group, message, &*request.command) {
            let mut town = self.town.lock().unwrap_or_else(PoisonError::into_inner);
            town.messages.push((group, message, self.user));
        }
    }
}
