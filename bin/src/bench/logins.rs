//! Logging in as fast as one handler lets, and what a storm of it does to messages.

use std::time::{Duration, Instant};

use anyhow::ensure;
use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use echolog_commands::Status;
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};

use super::driver::{Driver, Pace};
use super::figures::{Logins, percentile};
use super::population::{Population, Spread};
use super::site::Site;
use crate::client::{Client, Request};
use crate::clock;
use crate::handler::HashingLimits;

/// Accounts that log in again and again.
const ACCOUNTS: usize = 32;

/// Logins under way at once. Of a storm there are more than a handler lets wait.
const BUSY: usize = 8;
const STORM: usize = 64;

/// Messages offered per second meanwhile: hashing takes one of two cores.
const OFFERED: u32 = 250;

/// How long a client waits that was told to come later.
const LATER: Duration = Duration::from_millis(500);

const PASSWORD: &str = "correct horse battery";

/// Measures on a site whose workers run.
pub(super) async fn measure(
    site: &Site,
    population: &Population,
    duration: Duration,
) -> anyhow::Result<Logins> {
    let client =
        Client::connect(site.config.bus("bench-logins").await?, site.config.names()?).await?;
    for number in 0..ACCOUNTS {
        register(&client, json!({ "username": name(number), "password": PASSWORD })).await?;
        register(&client, json!({ "username": without_password(number) })).await?;
    }
    // Once for nothing: whoever has just been registered is still in the handler's memory.
    failures(&client).await?;
    let [wrong_password_p50_ms, unknown_name_p50_ms, no_password_p50_ms] =
        failures(&client).await?;
    let limit_per_second = limit(duration / 5)?;
    let per_second = log_in(&client, BUSY, duration).await?.0 / duration.as_secs_f64();
    let spread = Spread::uniform(population);
    let mut driver = Driver::connect(site, population).await?;
    let pace = Pace::PerSecond(OFFERED);
    driver.run(&spread, pace, duration / 5).await?;
    let calm = driver.run(&spread, pace, duration).await?;
    let (storm, refused) =
        tokio::join!(driver.run(&spread, pace, duration), log_in(&client, STORM, duration));
    let (storm, (storm_logins, refused)) = (storm?, refused?);
    let storm_times = storm.outcome_times();
    Ok(Logins {
        per_second,
        limit_per_second,
        ratio: per_second / limit_per_second,
        wrong_password_p50_ms,
        unknown_name_p50_ms,
        no_password_p50_ms,
        storm_per_second: storm_logins / duration.as_secs_f64(),
        storm_refused_per_second: refused / duration.as_secs_f64(),
        calm_p50_ms: percentile(&calm.outcome_times(), 0.5),
        calm_p99_ms: percentile(&calm.outcome_times(), 0.99),
        storm_p50_ms: percentile(&storm_times, 0.5),
        storm_p99_ms: percentile(&storm_times, 0.99),
    })
}

fn name(number: usize) -> String {
    format!("login-{number}")
}

fn without_password(number: usize) -> String {
    format!("no-password-{number}")
}

async fn register(client: &Client, body: Value) -> anyhow::Result<()> {
    let request = Request::new("svc-bench", "auth.register_user", clock::new_id(), body);
    let outcome = client.send(&request).await?;
    ensure!(outcome.status == Status::Accepted, "not registered: {outcome:?}");
    Ok(())
}

/// How long those wait for their no who know a name and not its password, who name nobody, and who name an
/// account that has none; in turns, so that all meet the same weather.
async fn failures(client: &Client) -> anyhow::Result<[f64; 3]> {
    let mut times = [const { Vec::new() }; 3];
    for number in 0..ACCOUNTS {
        let names = [name(number), format!("nobody-{number}"), without_password(number)];
        for (times, identifier) in times.iter_mut().zip(names) {
            let body = json!({ "identifier": identifier, "password": "a wrong password" });
            let request = Request::new("svc-bench", "auth.log_in", clock::new_id(), body);
            let begun = Instant::now();
            let outcome = client.send(&request).await?;
            times.push(begun.elapsed());
            ensure!(outcome.status == Status::Rejected, "let in: {outcome:?}");
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        percentile(&times, 0.5)
    }))
}

/// Keeps so many logins under way; returns how many got in, and how many were told to come later.
async fn log_in(client: &Client, count: usize, duration: Duration) -> anyhow::Result<(f64, f64)> {
    let end = Instant::now() + duration;
    let attempts = (0..).take_while(|_| Instant::now() < end).map(|number| {
        let body = json!({ "identifier": name(number % ACCOUNTS), "password": PASSWORD });
        let request = Request::new("svc-bench", "auth.log_in", clock::new_id(), body);
        async move {
            let outcome = client.send(&request).await?;
            if outcome.status != Status::Accepted {
                // As a client does that is told to come later.
                tokio::time::sleep(LATER).await;
            }
            anyhow::Ok(outcome)
        }
    });
    let mut outcomes = stream::iter(attempts).buffer_unordered(count);
    let (mut accepted, mut refused) = (0.0, 0.0);
    while let Some(outcome) = outcomes.next().await {
        match outcome?.status {
            Status::Accepted => accepted += 1.0,
            Status::Rejected | Status::Failed => refused += 1.0,
        }
    }
    Ok((accepted, refused))
}

/// How many passwords one thread hashes per second, with the parameters that handlers have.
fn limit(duration: Duration) -> anyhow::Result<f64> {
    let HashingLimits { memory_kib, iterations, .. } = HashingLimits::default();
    let params = Params::new(memory_kib, iterations, 1, None).map_err(anyhow::Error::msg)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(&[7; 16]).map_err(anyhow::Error::msg)?;
    let (begun, mut hashed) = (Instant::now(), 0.0);
    while begun.elapsed() < duration {
        argon2.hash_password(PASSWORD.as_bytes(), &salt).map_err(anyhow::Error::msg)?;
        hashed += 1.0;
    }
    Ok(hashed / begun.elapsed().as_secs_f64())
}
