//! The figures as a table.

use std::fmt;

use super::figures::{
    Baseline, Burst, Connects, EndToEnd, Figures, Load, Logins, Nodes, Partitions, Read, Reads,
};

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>12}{:>10}{:>10}{:>12}",
            "", "per second", "p50 ms", "p99 ms", "CPU µs"
        )?;
        if let Some(EndToEnd { uniform, zipf, hot }) = &self.end_to_end {
            row(f, "end to end, uniform", uniform)?;
            row(f, "end to end, zipf", zipf)?;
            row(f, "end to end, hot", hot)?;
        }
        if let Some(Baseline { seed, lean }) = &self.baseline {
            row(f, "plain PostgreSQL, seed", seed)?;
            row(f, "plain PostgreSQL, lean", lean)?;
        }
        if let Some(Partitions { one, four, sixteen }) = &self.partitions {
            row(f, "in 1 partition", one)?;
            row(f, "in 4 partitions", four)?;
            row(f, "in 16 partitions", sixteen)?;
        }
        if let Some(Nodes { one_synced, three }) = &self.nodes {
            row(f, "1 node, synced", one_synced)?;
            row(f, "3 nodes, not synced", three)?;
        }
        if let Some(Reads { history, inbox, search, search_indexed, .. }) = &self.reads {
            read(f, "50 messages", history)?;
            read(f, "20 conversations", inbox)?;
            read(f, "a search", search)?;
            read(f, "with an index on words", search_indexed)?;
        }
        if let Some(it) = &self.logins {
            logins(f, it)?;
        }
        connects(f, self.connects.as_ref())?;
        let mut line = |name: &str, value: Option<String>| match value {
            Some(value) => writeln!(f, "{name:<24}{value}"),
            None => Ok(()),
        };
        line("uniform / seed", self.ratio.seed.map(|ratio| format!("{ratio:.2}")))?;
        line("uniform / lean", self.ratio.lean.map(|ratio| format!("{ratio:.2}")))?;
        line("hot / uniform", self.ratio.hot_to_uniform.map(|ratio| format!("{ratio:.2}")))?;
        line(
            "projector alone",
            self.projector.map(|rate| format!("{:.0} events/s", rate.per_second)),
        )?;
        line(
            "replay of messages",
            self.replay.map(|it| {
                let (rate, limit) = (it.per_second, it.limit_per_second);
                format!("{rate:.0} events/s, {:.2} of a bare COPY's {limit:.0}", it.ratio)
            }),
        )?;
        line(
            "at 1,000 per second",
            self.latency_at_1000.map(|it| {
                let (outcome, visible) = (it.outcome_p99_ms, it.visible_p99_ms);
                format!("outcome p99 {outcome:.1} ms, visible p99 {visible:.1} ms")
            }),
        )?;
        line(
            "growth",
            self.growth.map(|it| {
                let (small, large) = (it.events_small, it.events_large);
                format!("{small} to {large} events: cost times {:.2}", it.cost_ratio)
            }),
        )?;
        line(
            "a message written",
            self.reads.map(|it| {
                let (bare, indexed) = (it.write_us, it.write_indexed_us);
                let made = it.index_seconds;
                format!("{bare:.1} µs; {indexed:.1} with an index on words, made in {made:.0} s")
            }),
        )?;
        line(
            "memory, peak",
            self.memory.map(|it| {
                let (handler, projector) = (it.handler_mib, it.projector_mib);
                format!("handler {handler:.0} MiB, projector {projector:.0} MiB")
            }),
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, load: &Load) -> fmt::Result {
    let Load { per_second, p50_ms, p99_ms, cpu_us_per_message } = load;
    writeln!(
        f,
        "{name:<24}{per_second:>12.0}{p50_ms:>10.1}{p99_ms:>10.1}{cpu_us_per_message:>12.0}"
    )
}

fn read(f: &mut fmt::Formatter<'_>, name: &str, read: &Read) -> fmt::Result {
    let Read { p50_ms, p99_ms, owner_p50_ms, owner_p99_ms, ratio } = read;
    writeln!(
        f,
        "{name:<24}p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms; without policies {owner_p50_ms:.2} and \
         {owner_p99_ms:.2}, {ratio:.2} times"
    )
}

fn logins(f: &mut fmt::Formatter<'_>, logins: &Logins) -> fmt::Result {
    let Logins { per_second, limit_per_second, ratio, .. } = logins;
    let Logins { storm_per_second, storm_refused_per_second, .. } = logins;
    let Logins { calm_p50_ms, calm_p99_ms, storm_p50_ms, storm_p99_ms, .. } = logins;
    writeln!(
        f,
        "logins                  {per_second:.1} per second, {ratio:.2} of the {limit_per_second:.1} \
         that one core hashes"
    )?;
    let Logins { wrong_password_p50_ms, unknown_name_p50_ms, no_password_p50_ms, .. } = logins;
    writeln!(
        f,
        "until a no, p50         wrong password {wrong_password_p50_ms:.1} ms, unknown name \
         {unknown_name_p50_ms:.1} ms, account without a password {no_password_p50_ms:.1} ms"
    )?;
    writeln!(
        f,
        "messages meanwhile      p50 {calm_p50_ms:.1} ms, p99 {calm_p99_ms:.1} ms without logins"
    )?;
    writeln!(
        f,
        "in a storm of logins    p50 {storm_p50_ms:.1} ms, p99 {storm_p99_ms:.1} ms; \
         {storm_per_second:.1} per second get in, {storm_refused_per_second:.0} come later"
    )
}

fn connects(f: &mut fmt::Formatter<'_>, connects: Option<&Connects>) -> fmt::Result {
    let Some(Connects { by_token, by_password, ratio, again, gone_ms }) = connects else {
        return Ok(());
    };
    for (name, burst) in [("connects, by token", by_token), ("connects, by password", by_password)]
    {
        let Burst { per_second, p50_ms, p99_ms } = burst;
        writeln!(f, "{name:<24}{per_second:>12.0}{p50_ms:>10.1}{p99_ms:>10.1}")?;
    }
    writeln!(
        f,
        "by token / by password  {ratio:.2}; {again} tried again; all gone {gone_ms:.0} ms after their \
         sessions were ended"
    )
}
