//! `echolog serve`, `echolog handler`, `echolog projector`, `echolog callout` and
//! `echolog timers`.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::callout;
use crate::config::Config;
use crate::handler::{
    HashingLimits, Limits, LoginLimits, RateLimit, RegistrationRules, TimerLimits,
};
use crate::roles::{Roles, Running};

/// In seconds.
const YEAR: u64 = 366 * 24 * 60 * 60;

/// Run workers against given servers.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Commands per second that one actor may send on average; 0 for no limit.
    #[arg(long, env = "ECHOLOG_RATE_LIMIT", default_value_t = RateLimit::default().per_second)]
    rate_limit: f64,
    /// Commands that one actor may send at once.
    #[arg(long, env = "ECHOLOG_RATE_BURST", default_value_t = RateLimit::default().burst)]
    rate_burst: f64,
    /// Memory that hashing one password takes, in KiB. Keep it: who knows how long it takes can tell
    /// accounts from before a change from names that nobody has.
    #[arg(long, env = "ECHOLOG_ARGON2_MEMORY_KIB", default_value_t = HashingLimits::default().memory_kib)]
    argon2_memory_kib: u32,
    /// How often that memory is gone through.
    #[arg(long, env = "ECHOLOG_ARGON2_ITERATIONS", default_value_t = HashingLimits::default().iterations)]
    argon2_iterations: u32,
    /// Passwords that are hashed or checked at once; each takes a core.
    #[arg(long, env = "ECHOLOG_HASHING_THREADS", default_value_t = HashingLimits::default().threads)]
    hashing_threads: usize,
    /// Passwords that wait for that at most; more are told to come back later.
    #[arg(long, env = "ECHOLOG_HASHING_QUEUE", default_value_t = HashingLimits::default().queue)]
    hashing_queue: usize,
    /// Let a new account wait until its address or number is verified.
    #[arg(long, env = "ECHOLOG_REQUIRE_VERIFIED_CONTACT")]
    require_verified_contact: bool,
    /// Take the address or number of a new account only with the proof of a code: nobody else learns who
    /// has an account.
    #[arg(long, env = "ECHOLOG_REQUIRE_CONTACT_PROOF")]
    require_contact_proof: bool,
    /// Seconds that a session lasts which is not refreshed.
    #[arg(long, env = "ECHOLOG_SESSION_LIFETIME", default_value_t = LoginLimits::default().session.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    session_lifetime: u64,
    /// Seconds that nobody can log in to an account after too many attempts have failed.
    #[arg(long, env = "ECHOLOG_LOGIN_LOCK", default_value_t = LoginLimits::default().lock.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    login_lock: u64,
    /// Seconds between two looks of the timers at what is over.
    #[arg(long, env = "ECHOLOG_TIMERS_EVERY", default_value_t = TimerLimits::default().every.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    timers_every: u64,
    /// Days for which the tables keep a session after its time is over.
    #[arg(long, env = "ECHOLOG_KEEP_SESSIONS", default_value_t = TimerLimits::default().keep_sessions,
        value_parser = clap::value_parser!(u16).range(1..))]
    keep_sessions: u16,
    /// Days for which the tables keep a one-time code or a reset token after it is made.
    #[arg(long, env = "ECHOLOG_KEEP_CODES", default_value_t = TimerLimits::default().keep_codes,
        value_parser = clap::value_parser!(u16).range(1..))]
    keep_codes: u16,
    #[command(flatten)]
    callout: callout::Options,
}

impl Args {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            rate: RateLimit { per_second: self.rate_limit, burst: self.rate_burst },
            hashing: HashingLimits {
                memory_kib: self.argon2_memory_kib,
                iterations: self.argon2_iterations,
                threads: self.hashing_threads.max(1),
                queue: self.hashing_queue,
            },
            logins: LoginLimits {
                session: Duration::from_secs(self.session_lifetime),
                lock: Duration::from_secs(self.login_lock),
            },
            registration: RegistrationRules {
                require_verified_contact: self.require_verified_contact,
                require_contact_proof: self.require_contact_proof,
            },
            timers: TimerLimits {
                every: Duration::from_secs(self.timers_every),
                keep_sessions: self.keep_sessions,
                keep_codes: self.keep_codes,
            },
        }
    }
}

pub(super) async fn run(config: Config, args: Args, roles: Roles) -> anyhow::Result<ExitCode> {
    let running = Running::start_with(&config, roles, args.limits(), &args.callout).await?;
    tracing::info!(tenant = %config.tenant, metrics = %running.metrics_addr, "ready");
    running.until(stop_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// Turns true at SIGTERM or SIGINT.
pub(super) fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = sender.send(true);
        sender.closed().await;
    });
    Ok(receiver)
}
