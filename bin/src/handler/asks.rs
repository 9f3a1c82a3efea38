//! Questions about accounts: answered by their owner, from the states that it decides on.

use std::collections::HashSet;

use echolog_commands::Needs;
use echolog_commands::auth::{Ask, Ended, Right};
use echolog_events::{Body, Partition, Recorded, partition_of};
use echolog_nats::Incoming;

use super::engine::{Engine, decline};

impl Engine {
    /// Answers what was asked, or lets somebody else be asked.
    pub(super) async fn answer(&mut self, asks: Vec<(Partition, Incoming)>) {
        if asks.is_empty() {
            return;
        }
        self.states.begin();
        let mut missing = HashSet::new();
        let mut read = Vec::with_capacity(asks.len());
        for (partition, incoming) in asks {
            let ask = serde_json::from_slice::<Ask>(&incoming.body).ok();
            let ask = ask.filter(|ask| partition_of(&ask.user_id.to_string()) == partition);
            let keys = ask.iter().flat_map(keys);
            missing.extend(keys.filter(|key| self.states.misses(key)));
            read.push((partition, ask, incoming));
        }
        if !missing.is_empty() {
            self.load(&missing, Vec::new()).await;
        }
        for (partition, ask, incoming) in read {
            match ask {
                Some(ask) => self.answer_one(partition, &ask, incoming).await,
                None => tracing::warn!("a question about an account cannot be read"),
            }
        }
    }

    async fn answer_one(&mut self, partition: Partition, ask: &Ask, incoming: Incoming) {
        let unknown = keys(ask).any(|key| self.states.is_unknown(&key));
        // Whoever is no longer the owner does not know what has ended since.
        let doubtful = self.ownership.get(partition).map(super::ownership::Owned::is_doubtful);
        let owns = match doubtful {
            Some(true) => self.confirm(partition).await,
            Some(false) => true,
            None => false,
        };
        if unknown || !owns {
            return decline(&self.handler, incoming).await;
        }
        let Some(reply) = incoming.reply else { return };
        let now = self.now();
        let standing = ask.standing(&self.states.world, now);
        if let (Some(_), Right::ApiKey(key), Some(_)) = (&standing, ask.right, &ask.shown) {
            // If too many wait, one is not counted.
            let _ = self.uses.try_send((ask.user_id, key, now));
        }
        let Ok(answer) = serde_json::to_vec(&standing) else { return };
        if let Err(error) = self.handler.bus.publish(reply, answer.into()).await {
            tracing::warn!(%error, "an answer could not be sent");
        }
    }

    /// Tells the auth callout which connections an event ends. Every handler tells what it reads:
    /// twice does no harm, and none at all is made up for when the callout asks anew.
    pub(super) async fn tell_what_ended(&self, event: &Recorded) {
        let Body::Known(known) = &event.body else { return };
        let Some(ended) = Ended::by(known) else { return };
        let Ok(ended) = serde_json::to_vec(&ended) else { return };
        let subject = self.handler.names.ended();
        if let Err(error) = self.handler.bus.publish(subject, ended.into()).await {
            tracing::warn!(%error, "what has ended could not be told");
        }
    }
}

fn keys(ask: &Ask) -> impl Iterator<Item = echolog_commands::Key> + use<> {
    let mut needs = Needs::default();
    ask.needs(&mut needs);
    needs.into_keys().into_iter()
}
