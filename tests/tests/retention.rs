//! What is too old leaves the tables, and can be built again as it was.

use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use echolog::callout;
use echolog::clock;
use echolog::handler::{Limits, TimerLimits};
use echolog::projector::rebuild;
use echolog::roles::Roles;
use echolog_events::{
    CodeEvent, CodeHash, Event, IdentifierType, Origin, OtpPurpose, OtpRequested, SessionEvent,
    Stream, Uuid,
};
use echolog_tests::{Tenant, eventually, run};
use futures::StreamExt as _;
use serde_json::json;

use crate::logins::history;
use crate::parking::{subject, write};

/// A code that was asked for so many days ago, as it would stand in the log.
async fn asked(t: &Tenant, account: Uuid, days: i64) -> anyhow::Result<()> {
    let then = clock::now() - TimeDelta::days(days);
    let requested = OtpRequested {
        account_id: account,
        user_id: None,
        otp_id: clock::new_id(),
        identifier: "unknown:5eed".to_owned(),
        identifier_type: IdentifierType::Email,
        identifier_hash: "5eed".to_owned(),
        purpose: OtpPurpose::Login,
        otp_hash: CodeHash::new("hash"),
        max_attempts: 5,
        requested_at: then,
        expires_at: then + TimeDelta::minutes(10),
        replaces: None,
        origin: Origin::default(),
    };
    let event = Event::Codes(CodeEvent::OtpRequested(Box::new(requested)));
    let time = then.to_rfc3339();
    let headers = [
        ("ce-type", event.event_type().name),
        ("ce-schema", "1"),
        ("ce-time", time.as_str()),
        ("ce-actor", "anon-test"),
    ];
    write(t, subject(t, Stream::Code, account), &headers, event.encode()).await?;
    Ok(())
}

#[test]
fn the_tables_forget_once_what_is_too_old() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        let ada = clock::new_id();
        for days in [40, 9, 0] {
            asked(&t, ada, days).await?;
        }
        let timers = TimerLimits { every: Duration::from_secs(1), ..TimerLimits::default() };
        let limits = Limits { rate: Tenant::UNLIMITED, timers, ..Limits::default() };
        // Two timers, who see the same.
        for roles in [Roles::ALL, Roles::TIMERS] {
            t.add_limited(roles, limits, &callout::Options::default()).await?;
        }
        let codes = "SELECT count(*) FROM auth.otp_verifications";
        eventually("the old codes are gone", || async { Ok(t.value(codes).await? == "1") }).await?;
        let command = format!("cmd.{}.svc-echolog.auth.apply_retention.{ada}", t.config.tenant);
        asked(&t, ada, 8).await?;
        eventually("another is there", || async { Ok(t.value(codes).await? == "2") }).await?;
        let mut sent = t.bus.subscribe(command, None).await?;
        for _ in 0..2 {
            sent.next().await.context("the timers look again")?;
        }
        let told = t.user("bob").await?;
        t.accept(told, "users.update_profile", told, json!({ "bio": "x" })).await?;
        assert_eq!(t.value(codes).await?, "2", "an account forgets once a day");
        let history = history(&t).await?;
        let applied = history.iter().filter(|it| matches!(it, SessionEvent::RetentionApplied(_)));
        assert_eq!(applied.count(), 1, "{history:?}");
        let report = rebuild::verify(&t.log()?, &t.database, None, |_, _| {}).await?;
        assert!(report.is_clean(), "{report}");
        Ok(())
    });
}
