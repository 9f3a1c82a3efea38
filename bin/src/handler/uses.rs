//! How often API keys are used: counted here, and recorded now and then.

use std::collections::HashMap;
use std::time::Duration;

use echolog_commands::ContentType;
use echolog_events::{Time, Uuid};
use echolog_nats::{Bus, BusError, CommandSubject, HeaderMap, Names, header};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;

/// How often uses are recorded.
const EVERY: Duration = Duration::from_secs(60);

/// How many keys are counted at most before they are.
const KEYS: usize = 10_000;

/// How many uses wait to be counted; more than that are not.
const WAITING: usize = 1024;

/// Who says so.
const ACTOR: &str = "svc-echolog";

/// A key of a user, and when it was used.
pub(super) type Use = (Uuid, Uuid, Time);

/// Counts until nobody is left to tell, and then records the rest.
pub(super) fn spawn(bus: Bus, names: Names) -> (mpsc::Sender<Use>, JoinHandle<()>) {
    let (sender, mut uses) = mpsc::channel::<Use>(WAITING);
    let counting = tokio::spawn(async move {
        let mut now_and_then = interval(EVERY);
        now_and_then.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted: HashMap<(Uuid, Uuid), (u32, Time)> = HashMap::new();
        loop {
            let ended = tokio::select! {
                used = uses.recv() => match used {
                    Some((user, key, at)) => {
                        let (count, last) = counted.entry((user, key)).or_insert((0, at));
                        *count = count.saturating_add(1);
                        *last = at.max(*last);
                        if counted.len() < KEYS {
                            continue;
                        }
                        false
                    }
                    None => true,
                },
                _ = now_and_then.tick() => false,
            };
            for ((user, key), (count, last)) in counted.drain() {
                // What is lost was a number.
                if let Err(error) = record(&bus, &names, user, key, count, last).await {
                    tracing::warn!(%error, "the use of an API key could not be recorded");
                }
            }
            if ended {
                return;
            }
        }
    });
    (sender, counting)
}

async fn record(
    bus: &Bus,
    names: &Names,
    user: Uuid,
    key: Uuid,
    count: u32,
    last_used_at: Time,
) -> Result<(), BusError> {
    let subject = names.command(&CommandSubject {
        actor: ACTOR.to_owned(),
        domain: "auth".to_owned(),
        command: "record_api_key_use".to_owned(),
        target: user.to_string(),
    });
    let body = json!({ "api_key_id": key, "count": count, "last_used_at": last_used_at });
    let mut headers = HeaderMap::new();
    headers.insert(header::COMMAND_ID, clock::new_id().to_string());
    headers.insert(header::CONTENT_TYPE, ContentType::Json.name());
    bus.publish_with_headers(subject, headers, ContentType::Json.encode(&body).into()).await
}
