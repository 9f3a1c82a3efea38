//! Every command there is, sent by somebody who must not: what the broker lets through, and whom the
//! databases let in.

use std::time::Duration;

use anyhow::Context as _;
use echolog::callout::Options;
use echolog::clock;
use echolog::config::Config;
use echolog::handler::{Limits, LoginLimits};
use echolog::roles::Roles;
use echolog_commands::{COMMANDS, CommandType};
use echolog_events::{Scope, Uuid};
use echolog_nats::Subscriber;
use echolog_tests::broker::{Broker, Raw, Said, publication};
use echolog_tests::{Tenant, eventually, run};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::callout::{self, contents};
use crate::connects::{
    is_violation, key, log_in, log_out, make_key, refresh, register, site, token,
};

/// How a command can reach a handler.
const WAYS: [&str; 2] = ["cmd", "req"];

/// What comes to the account of the handlers.
struct Heard(Subscriber);

impl Heard {
    async fn from_now(t: &Tenant) -> anyhow::Result<Self> {
        let heard = t.bus.subscribe(">".to_owned(), None).await?;
        t.bus.flush().await?;
        Ok(Self(heard))
    }

    /// The commands that have come since, but for what workers tell each other.
    async fn commands(&mut self, t: &Tenant) -> anyhow::Result<Vec<String>> {
        let end = format!("end.{}", clock::new_id());
        t.bus.publish(end.clone(), "".into()).await?;
        let mut commands = Vec::new();
        loop {
            let message = timeout(Duration::from_secs(20), self.0.next()).await?;
            let subject = message.context("a message")?.subject.to_string();
            if subject == end {
                return Ok(commands);
            }
            let way = subject.split('.').next().unwrap_or_default();
            if WAYS.contains(&way) && !subject.contains(".svc-echolog.") {
                commands.push(subject);
            }
        }
    }
}

/// What has happened, but for what owners note for themselves.
async fn facts(t: &Tenant) -> anyhow::Result<Vec<String>> {
    Ok(callout::facts(contents(t, &t.config.names()?.event_stream()).await?))
}

fn subject(way: &str, tenant: &str, actor: &str, command: &CommandType, target: Uuid) -> String {
    format!("{way}.{tenant}.{actor}.{}.{}.{target}", command.domain, command.name)
}

/// What is published so that it would be read.
fn publish(subject: &str, body: &str) -> String {
    let id = clock::new_id().to_string();
    let headers = [("Nats-Msg-Id", id.as_str()), ("Content-Type", "application/json")];
    publication(subject, "", &headers, body)
}

#[test]
fn a_user_sends_no_command_to_another_tenant_and_none_as_somebody_else() {
    run(async {
        let (broker, t) = site().await?;
        let mut other = Tenant::on(broker.nats.url()).await?;
        other.add(Roles::ALL).await?;
        let (ada, bob) = (register(&t, "ada").await?, register(&t, "bob").await?);
        // In case an id were enough.
        let namesake = json!({ "username": "ada" });
        other.accept("anon-test", "auth.register_user", ada, namesake).await?;
        let session = log_in(&t, "ada").await?;
        let mut raw = broker.user(token(&session)).await?;
        let before = (facts(&t).await?, facts(&other).await?);
        let mut heard = Heard::from_now(&t).await?;

        let (here, there) = (t.config.tenant.as_str(), other.config.tenant.as_str());
        let (own, others) = (ada.to_string(), bob.to_string());
        let mut sent = Vec::new();
        for command in COMMANDS {
            for way in WAYS {
                for (tenant, actor) in [
                    (there, own.as_str()),
                    (there, "svc-operator"),
                    (here, &others),
                    (here, "svc-operator"),
                    (here, "anon-test"),
                ] {
                    let subject = subject(way, tenant, actor, command, ada);
                    raw.write(publish(&subject, command.doc.example).as_bytes()).await?;
                    let said = raw.sync().await?;
                    assert!(is_violation(&said), "{subject}: {said:?}");
                }
                // What this one may send, which nobody can read.
                let subject = subject(way, here, &own, command, ada);
                raw.write(publish(&subject, "{").as_bytes()).await?;
                assert_eq!(raw.sync().await?, [], "{subject}");
                sent.push(subject);
            }
        }
        assert_eq!(heard.commands(&t).await?, sent);

        // All that came has been decided before this.
        for (t, before) in [(&t, before.0), (&other, before.1)] {
            t.accept(ada, "users.update_profile", ada, json!({ "bio": "herself" })).await?;
            let after = facts(t).await?;
            assert_eq!(after[..before.len()], before);
            assert_eq!(after.len(), before.len() + 1, "{:?}", &after[before.len()..]);
        }
        Ok(())
    });
}

#[test]
fn a_key_sends_the_commands_of_its_domains_and_no_other() {
    run(async {
        let (broker, t) = site().await?;
        let ada = register(&t, "ada").await?;
        let tenant = &t.config.tenant;
        let names = Scope::ALL.map(Scope::name);
        let mut all: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
        all.push(names.to_vec());
        for scopes in all {
            let made = make_key(&t, ada, json!(scopes), Value::Null).await?;
            let mut raw = broker.user(key(&made)).await?;
            let mut heard = Heard::from_now(&t).await?;
            let mut sent = Vec::new();
            for command in COMMANDS {
                for way in WAYS {
                    let subject = subject(way, tenant, &ada.to_string(), command, ada);
                    raw.write(publish(&subject, "{").as_bytes()).await?;
                    let said = raw.sync().await?;
                    let may = scopes.contains(&command.domain) && command.domain != "auth";
                    assert_eq!(is_violation(&said), !may, "{scopes:?} {subject}: {said:?}");
                    sent.extend(may.then_some(subject));
                }
            }
            assert!(!sent.is_empty(), "{scopes:?} are for nothing");
            assert_eq!(heard.commands(&t).await?, sent, "{scopes:?}");
        }
        Ok(())
    });
}

/// Every command of this user, as bytes for the broker.
fn everything(tenant: &str, user: Uuid) -> (Vec<String>, Vec<u8>) {
    let all = COMMANDS.iter().flat_map(|command| WAYS.map(|way| (way, command)));
    let all = all.map(|(way, command)| {
        let subject = subject(way, tenant, &user.to_string(), command, user);
        let message = publish(&subject, command.doc.example);
        (subject, message)
    });
    let (subjects, messages): (_, Vec<String>) = all.unzip();
    (subjects, messages.concat().into_bytes())
}

#[test]
fn nothing_comes_from_whoever_has_no_right_to_be_there_any_more() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        t.add_with(Roles::CALLOUT, &broker.callout()).await?;
        let logins = LoginLimits { session: Duration::from_secs(3), ..LoginLimits::default() };
        let limits = Limits { rate: Tenant::UNLIMITED, logins, ..Limits::default() };
        t.add_limited(Roles::ALL, limits, &Options::default()).await?;
        let (ada, bob) = (register(&t, "ada").await?, register(&t, "bob").await?);
        let users = || json!(["users"]);
        let mut held = Vec::new();
        let mut hold = async |t: &Tenant, user: Uuid, credential: &str| {
            let (_, messages) = everything(&t.config.tenant, user);
            held.push((credential.to_owned(), messages, broker.user(credential).await?));
            anyhow::Ok(())
        };

        // What time ends.
        let over = log_in(&t, "ada").await?;
        hold(&t, ada, token(&over)).await?;
        let soon = json!(clock::now() + Duration::from_secs(3));
        let short = make_key(&t, ada, users(), soon).await?;
        hold(&t, ada, key(&short)).await?;
        t.stop_at(1).await?;
        t.add(Roles::ALL).await?;

        // What somebody ends.
        let revoked = log_in(&t, "ada").await?;
        let refreshed = log_in(&t, "ada").await?;
        let withdrawn = make_key(&t, ada, users(), Value::Null).await?;
        let suspended = log_in(&t, "bob").await?;
        let of_suspended = make_key(&t, bob, users(), Value::Null).await?;
        for (user, credential) in [
            (ada, token(&revoked)),
            (ada, token(&refreshed)),
            (ada, key(&withdrawn)),
            (bob, token(&suspended)),
            (bob, key(&of_suspended)),
        ] {
            hold(&t, user, credential).await?;
        }
        log_out(&t, ada, &revoked).await?;
        let next = refresh(&t, ada, &refreshed).await?;
        log_out(&t, ada, &next).await?;
        let id = json!({ "api_key_id": withdrawn["api_key_id"] });
        t.accept(ada, "auth.revoke_api_key", ada, id).await?;
        let spam = json!({ "reason": "spam" });
        t.accept("svc-operator", "auth.suspend_user", bob, spam).await?;
        for (_, _, raw) in &mut held {
            raw.until_ended().await?;
        }

        eventually("what is over is over for its owner too", || async {
            let mut refused = true;
            for credential in [token(&over), key(&short)] {
                let shown = json!({ "auth_token": credential });
                refused &= broker.connect(shown).await?.is_err();
            }
            Ok(refused)
        })
        .await?;
        let mut heard = Heard::from_now(&t).await?;
        let before = facts(&t).await?;
        for (credential, messages, raw) in &mut held {
            // Into a connection that is closed, and in the same breath as what is shown.
            let _ = raw.write(messages).await;
            let shown = json!({ "auth_token": credential });
            let said = Raw::connect_saying(broker.nats.port(), &shown, messages).await?;
            let hears = |it: &Said| matches!(it, Said::Error(it) if !it.contains("Permissions"));
            assert!(said.iter().all(hears) && !said.is_empty(), "{said:?}");
            broker.refuses(credential).await?;
        }
        assert_eq!(heard.commands(&t).await?, [""; 0]);
        assert_eq!(facts(&t).await?, before);

        // Whoever may, gets all of it in.
        let live = log_in(&t, "ada").await?;
        let (subjects, messages) = everything(&t.config.tenant, ada);
        let mut heard = Heard::from_now(&t).await?;
        let shown = json!({ "auth_token": token(&live) });
        let said = Raw::connect_saying(broker.nats.port(), &shown, &messages).await?;
        assert_eq!(said, []);
        assert_eq!(heard.commands(&t).await?, subjects);
        Ok(())
    });
}

/// Reads a tenant as this role.
async fn read_as(t: &Tenant, role: &str) -> anyhow::Result<echolog_projectors::db::Database> {
    let url = t.config.database_url.as_deref().context("an address")?;
    let url = url.replace("//echolog_owner:", &format!("//{role}:"));
    Config { database_url: Some(url), ..t.config.clone() }.database().await
}

#[test]
fn a_reader_of_one_tenant_is_let_into_no_other_and_sees_nothing_as_nobody() {
    run(async {
        let (mut a, b) = (Tenant::start().await?, Tenant::start().await?);
        let role = |t: &Tenant| format!("app_{}", t.config.tenant);
        let database = |t: &Tenant| format!("echolog_{}", t.config.tenant);
        for t in [&a, &b] {
            t.user("ada").await?;
            // As docs/security.md says.
            for said in [
                format!("CREATE ROLE {} LOGIN PASSWORD 'test' IN ROLE echolog_reader", role(t)),
                format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database(t)),
                format!(
                    "GRANT CONNECT ON DATABASE {} TO echolog_projector, {}",
                    database(t),
                    role(t)
                ),
            ] {
                t.database.execute(&said).await?;
            }
        }
        for (home, away) in [(&a, &b), (&b, &a)] {
            let reader = read_as(home, &role(home)).await?;
            let no = read_as(away, &role(home)).await.err().context("it was let in")?;
            assert!(format!("{no:#}").contains("permission denied for database"), "{no:#}");
            let readable = "SELECT c.oid::regclass::text FROM pg_class AS c
                WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text
                        NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
                    AND has_any_column_privilege(c.oid, 'SELECT')";
            let readable = reader.text_table(readable).await?.rows;
            assert!(readable.len() > 20, "{readable:?}");
            for table in readable.into_iter().flatten() {
                let rows = reader.text_table(&format!("SELECT count(*) FROM {table}")).await?.rows;
                let open = table == "projection.checkpoints";
                assert_eq!(rows == [["0"]], !open, "{table}: {rows:?}");
            }
        }
        // Workers go on, and new ones come.
        a.add(Roles::ALL).await?;
        a.stop_first().await?;
        a.user("bob").await?;
        Ok(())
    });
}
