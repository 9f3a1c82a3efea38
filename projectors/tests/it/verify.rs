//! Checks find what is wrong, and nothing else.

use echolog_events::RevokedReason;
use echolog_projectors::verify::verify;

use crate::support::sessions::{day, locked, refresh, revoked};
use crate::support::{Log, Tables, id};

fn log() -> Log {
    let mut log = Log::default();
    for (n, name) in [(1, "Ada"), (2, "Bob"), (3, "Eve")] {
        log.register(id(n), name);
    }
    log.block(id(1), id(3));
    log.group(id(100), &[id(1), id(2)]);
    for n in 0..6 {
        log.send(id(100), id(1000 + n), id(1 + n % 2), "hello");
    }
    log.reply(id(100), id(1010), id(2), id(1000));
    log.edit(id(100), id(1000), id(1), "goodbye");
    log.delete(id(100), id(1001), id(2));
    log.react(id(100), id(1002), id(2), "👍");
    log.pin(id(100), id(1003), id(2));
    log.read(id(100), id(1), id(1004));
    log.deliver(id(100), id(2), id(1004));
    log.join(id(100), id(3));
    log.leave(id(100), id(3));
    log.join(id(100), id(3));
    log.log_in(id(1), id(0x5e1), "a phone");
    log.account(vec![refresh(id(1), id(0x5e1), 1)]);
    log.log_in(id(1), id(0x5e2), "a tablet");
    log.log_in(id(2), id(0x5e1), "a phone");
    log.account(vec![revoked(id(2), id(0x5e1), RevokedReason::Logout)]);
    log.log_in(id(2), id(0x5e3), "a phone");
    log.account(vec![locked(id(3), Some(id(3)), day(1))]);
    log
}

/// Breaks something by hand; the checks that notice.
async fn broken(tables: &Tables, log: &Log, statement: &str) -> Vec<&'static str> {
    tables.clear().await;
    tables.feed(&[&log.events]).await;
    tables.execute(statement).await;
    let findings = verify(&tables.database).await.expect("verified");
    findings.iter().map(|finding| finding.check).collect()
}

#[tokio::test]
async fn what_a_log_makes_is_right() {
    let tables = Tables::given(&log()).await;
    assert_eq!(verify(&tables.database).await.expect("verified"), []);
}

/// One of somebody's whom nobody knows, twice, and with a token.
const IDENTITIES: &str =
    "INSERT INTO auth.oauth_providers (id, user_id, provider, provider_user_id,
    access_token, profile_data, created_at, updated_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 'google', 'x', 'x', '{}', now(), now()
    FROM generate_series(1, 2)";

#[tokio::test]
async fn what_is_broken_by_hand_is_found() {
    let log = log();
    let tables = Tables::new().await;
    for (statement, check) in [
        ("UPDATE messages.conversations SET message_count = 9", "number of messages"),
        ("UPDATE messages.conversations SET member_count = 9", "number of members"),
        ("UPDATE messages.conversations SET last_message_preview = 'x'", "another last message"),
        ("UPDATE messages.members SET uncounted = uncounted + 1 WHERE read_seq < 5", "unread"),
        ("UPDATE messages.members SET delivered_seq = 7 WHERE role = 'owner'", "not where they moved to"),
        ("UPDATE messages.members SET delivered_seq = 60", "beyond the last message"),
        ("DELETE FROM messages.membership_periods", "whether they are active"),
        ("UPDATE messages.membership_periods SET to_seq = 9; INSERT INTO messages.membership_periods
            SELECT conversation_id, user_id, 8, NULL FROM messages.membership_periods", "overlap"),
        ("UPDATE messages.messages SET reaction_count = 2", "number of reactions"),
        ("UPDATE messages.messages SET reply_count = 2", "number of replies"),
        ("DELETE FROM messages.message_edits", "number of edits"),
        ("UPDATE messages.messages SET content = 'x' WHERE is_deleted", "still say something"),
        ("DELETE FROM messages.threads", "in no thread"),
        ("DELETE FROM messages.members WHERE role = 'owner'", "never a member"),
        ("DELETE FROM messages.conversations", "members of no conversation"),
        ("DELETE FROM messages.messages", "reactions to no message"),
        ("DELETE FROM messages.messages", "edits of no message"),
        ("DELETE FROM messages.messages", "pins of no message"),
        ("DELETE FROM messages.messages", "replies to no message"),
        ("DELETE FROM messages.members", "of nobody"),
        ("UPDATE messages.conversations SET direct_key = 'a'; INSERT INTO messages.conversations
            SELECT (jsonb_populate_record(c, jsonb_build_object('id', creator_user_id))).*
            FROM messages.conversations AS c", "the same two"),
        ("DELETE FROM auth.users WHERE username = 'Ada'", "members without an account"),
        ("UPDATE auth.users SET username = 'ada'", "two accounts"),
        ("UPDATE auth.sessions SET device_id = 'x'", "one device"),
        ("DELETE FROM auth.refresh_tokens WHERE NOT revoked", "without a refresh token"),
        ("UPDATE auth.refresh_tokens SET revoked = false, revoked_at = NULL", "or with several"),
        ("UPDATE auth.sessions SET refresh_token = 'x' WHERE device_id = 'a tablet'", "with another one"),
        ("UPDATE auth.sessions SET revoked_at = now(), revoked_reason = 'admin'", "that has ended"),
        ("DELETE FROM auth.refresh_tokens WHERE NOT revoked", "exchanged for nothing"),
        ("UPDATE auth.users SET locked_until = NULL", "locks without an end"),
        ("UPDATE auth.users SET locked = false", "ends of no lock"),
        ("DELETE FROM auth.users WHERE username = 'Bob'", "live sessions of nobody"),
        ("UPDATE auth.users SET account_status = 'banned'", "banned or deleted"),
        ("INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash, scopes, usage_count, created_at, updated_at)
            VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 'ek_', 'x', '{users}', 0, now(), now())", "API keys of nobody"),
        (IDENTITIES, "identities of nobody"),
        (IDENTITIES, "identities that speak for two"),
        (IDENTITIES, "tokens of providers"),
        ("DELETE FROM users.settings", "without a profile or settings"),
        ("UPDATE users.profiles SET username = 'x'", "another username"),
        ("DELETE FROM auth.users WHERE username = 'Eve'", "blocks of nobody"),
        ("DELETE FROM projection.deciders WHERE stream = 'user'", "decisions do not know"),
        ("DELETE FROM messages.conversations", "only decisions know"),
        ("UPDATE projection.ledger SET version = seq + 1", "version of nothing"),
    ] {
        let found = broken(&tables, &log, statement).await;
        assert!(found.iter().any(|it| it.contains(check)), "{statement}: {check}? {found:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_missing() {
    let log = log();
    let tables = Tables::given(&log).await;
    let mut more = log;
    more.register(id(4), "Zoe");
    more.group(id(200), &[id(4)]);
    let end = more.events.len() - 4;
    let target = echolog_projectors::Target::live(echolog_projectors::Projection::Messages);
    tables.feed_one(target, &[&more.events[end..]]).await;
    assert_eq!(verify(&tables.database).await.expect("verified"), []);
}
