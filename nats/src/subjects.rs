//! Names: subjects, streams, consumers and headers.

use echolog_events::{Partition, Uuid, partition_of};

/// Headers of commands and of internal requests.
pub mod header {
    /// The command's id.
    pub const COMMAND_ID: &str = "Nats-Msg-Id";
    /// The encoding of the body and of the outcome.
    pub const CONTENT_TYPE: &str = "Content-Type";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// What the client says it belongs to.
    pub const CORRELATION: &str = "Echolog-Correlation-Id";
    /// The version that the target must have.
    pub const EXPECTED_VERSION: &str = "Echolog-Expected-Version";
    /// `accepted` or `projected`.
    pub const AWAIT: &str = "Echolog-Await";
    /// On the way from the request path to the owner: what a password was hashed to.
    pub const PASSWORD_HASH: &str = "Echolog-Password-Hash";
    /// On the way from the request path to the owner: what else it found out, as JSON.
    pub const FINDINGS: &str = "Echolog-Findings";
    /// On the way from the request path to the owner: the session that the client is connected with.
    pub const SESSION: &str = "Echolog-Session";
    /// On the way from the request path to the owner: the subject that the client used.
    pub const SUBJECT: &str = "Echolog-Subject";
}

/// The names that belong to one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    tenant: String,
}

impl Names {
    /// The names of a tenant.
    ///
    /// # Errors
    /// A name that cannot be part of a subject, in a sentence.
    pub fn new(tenant: &str) -> Result<Self, String> {
        if is_token(tenant) {
            Ok(Self { tenant: tenant.to_owned() })
        } else {
            Err(format!(
                "`{tenant}` cannot name a tenant: use letters, digits, `_` and `-`, at most 64."
            ))
        }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The subject of a request.
    #[must_use]
    pub fn request(&self, subject: &CommandSubject) -> String {
        let CommandSubject { actor, domain, command, target } = subject;
        format!("req.{}.{actor}.{domain}.{command}.{target}", self.tenant)
    }

    /// The subject of a command.
    #[must_use]
    pub fn command(&self, subject: &CommandSubject) -> String {
        let CommandSubject { actor, domain, command, target } = subject;
        format!("cmd.{}.{actor}.{domain}.{command}.{target}", self.tenant)
    }

    /// The stream of commands.
    #[must_use]
    pub fn command_stream(&self) -> String {
        format!("CMD_{}", self.tenant)
    }

    /// The log.
    #[must_use]
    pub fn event_stream(&self) -> String {
        format!("EVT_{}", self.tenant)
    }

    /// The consumer of a partition's commands.
    #[must_use]
    pub fn consumer(partition: Partition) -> String {
        format!("owner-{partition}")
    }

    /// The subject on which a partition's owner takes requests.
    #[must_use]
    pub fn own(&self, partition: Partition) -> String {
        format!("own.{}.{partition}", self.tenant)
    }

    /// The subject on which a partition's owner is asked about accounts. Nothing that comes there
    /// changes anything.
    #[must_use]
    pub fn ask(&self, partition: Partition) -> String {
        format!("ask.{}.{partition}", self.tenant)
    }

    /// The subject on which handlers tell what has ended: sessions, and rights to connect.
    #[must_use]
    pub fn ended(&self) -> String {
        format!("ended.{}", self.tenant)
    }

    /// The subject on which handlers tell each other that they are there.
    #[must_use]
    pub fn handlers(&self) -> String {
        format!("own.{}.handlers", self.tenant)
    }

    /// The subjects of requests that carry a secret.
    #[must_use]
    pub fn requests(&self) -> String {
        format!("req.{}.*.*.*.*", self.tenant)
    }

    /// The subject of an outcome; `None` for an id that is no UUID.
    #[must_use]
    pub fn outcome(&self, actor: &str, command: Option<Uuid>) -> String {
        match command {
            Some(id) => format!("out.{}.{actor}.{id}", self.tenant),
            None => format!("out.{}.{actor}.invalid", self.tenant),
        }
    }

    /// Where an actor may publish who speaks for nobody else.
    #[must_use]
    pub fn publishable(&self, actor: &str) -> Vec<String> {
        ["cmd", "req", "qry"].map(|kind| format!("{kind}.{}.{actor}.>", self.tenant)).into()
    }

    /// What such an actor may hear: what is addressed to it, and answers to its requests.
    #[must_use]
    pub fn audible(&self, actor: &str) -> Vec<String> {
        let tenant = &self.tenant;
        vec![
            format!("out.{tenant}.{actor}.>"),
            format!("live.{tenant}.{actor}.>"),
            format!("_INBOX_{actor}.>"),
        ]
    }

    /// Where such an actor may publish in these domains only.
    #[must_use]
    pub fn publishable_in(&self, actor: &str, domains: &[&str]) -> Vec<String> {
        let kinds = |domain: &&str| {
            ["cmd", "req", "qry"].map(|kind| format!("{kind}.{}.{actor}.{domain}.>", self.tenant))
        };
        domains.iter().flat_map(kinds).collect()
    }

    /// What such an actor may hear then.
    #[must_use]
    pub fn audible_in(&self, actor: &str, domains: &[&str]) -> Vec<String> {
        let tenant = &self.tenant;
        let live = |domain: &&str| {
            let live = format!("live.{tenant}.{actor}.{domain}");
            [live.clone(), format!("{live}.>")]
        };
        let own = [format!("out.{tenant}.{actor}.>"), format!("_INBOX_{actor}.>")];
        own.into_iter().chain(domains.iter().flat_map(live)).collect()
    }

    /// The subject of a command that only wakes a partition's owner.
    #[must_use]
    pub fn wake(&self, partition: Partition) -> String {
        let target = (0_u32..)
            .map(|n| format!("wake-{n}"))
            .find(|target| partition_of(target) == partition)
            .unwrap_or_default();
        format!("cmd.{}.{WAKER}.{WAKE_DOMAIN}.{WAKE_COMMAND}.{target}", self.tenant)
    }
}

const WAKER: &str = "svc-echolog";
const WAKE_DOMAIN: &str = "system";
const WAKE_COMMAND: &str = "wake";

/// The tokens of a command's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSubject {
    /// Who sends it.
    pub actor: String,
    /// The domain, such as `messages`.
    pub domain: String,
    /// The command, such as `send_message`.
    pub command: String,
    /// What it acts on.
    pub target: String,
}

impl CommandSubject {
    /// Reads the last four tokens of a `cmd.`, `cmdp.` or `req.` subject.
    #[must_use]
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = subject.rsplit('.');
        let mut next = || tokens.next().filter(|token| is_token(token)).map(str::to_owned);
        let (target, command, domain, actor) = (next()?, next()?, next()?, next()?);
        Some(Self { actor, domain, command, target })
    }

    /// Whether it only wakes the partition's owner.
    #[must_use]
    pub fn is_wake(&self) -> bool {
        self.domain == WAKE_DOMAIN && self.command == WAKE_COMMAND && self.actor == WAKER
    }

    /// The partition that decides it.
    #[must_use]
    pub fn partition(&self) -> Partition {
        partition_of(&self.target)
    }
}

fn is_token(token: &str) -> bool {
    (1..=64).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_reaches_its_partition() {
        let names = Names::new("main").expect("a good name");
        for partition in Partition::all() {
            let subject = CommandSubject::parse(&names.wake(partition)).expect("six tokens");
            assert_eq!(subject.partition(), partition);
            assert!(subject.is_wake());
        }
    }

    #[test]
    fn a_tenant_is_one_token() {
        assert!(Names::new("a.b").is_err());
        assert!(Names::new("").is_err());
        assert!(Names::new("*").is_err());
    }
}
