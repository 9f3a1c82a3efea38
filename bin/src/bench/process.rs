//! What a process costs, as `/proc` tells it.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::Context as _;

/// The kernel counts in ticks of 10 ms for every program, on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of the servers, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// The broker.
    pub(super) nats: Duration,
    /// The database: all of its processes.
    pub(super) postgres: Duration,
    /// The command handler.
    pub(super) handler: Duration,
    /// The projector.
    pub(super) projector: Duration,
}

impl Usage {
    /// Of all of them.
    pub(super) fn total(self) -> Duration {
        self.nats + self.postgres + self.handler + self.projector
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used since `earlier`. A process that was started anew counts from its start.
    fn sub(self, earlier: Self) -> Self {
        let since = |now: Duration, then: Duration| now.checked_sub(then).unwrap_or(now);
        Self {
            nats: since(self.nats, earlier.nats),
            postgres: since(self.postgres, earlier.postgres),
            handler: since(self.handler, earlier.handler),
            projector: since(self.projector, earlier.projector),
        }
    }
}

/// One line of `/proc/…/stat`.
struct Stat {
    parent: u32,
    own: Duration,
    /// Of the children that have ended.
    children: Duration,
}

impl Stat {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let line = fs::read_to_string(&path).with_context(|| path.clone())?;
        Self::parse(&line).with_context(|| format!("{path} has another shape"))
    }

    fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may hold anything; what follows the last one are numbers.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| Some(TICK * fields.get(index)?.parse::<u32>().ok()?);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            children: ticks(13)? + ticks(14)?,
        })
    }
}

/// Processor time that a process has used.
pub(super) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    Ok(Stat::read(pid)?.own)
}

/// Processor time that a process and its children have used, those that have ended included.
pub(super) fn cpu_of_family(pid: u32) -> anyhow::Result<Duration> {
    loop {
        let parent = Stat::read(pid)?;
        let pids = fs::read_dir("/proc").context("/proc")?.flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all = pids.filter_map(|pid| Stat::read(pid).ok());
        let children = all.filter(|stat| stat.parent == pid).map(|stat| stat.own);
        let living: Duration = children.sum();
        // One that was buried while we looked is in neither number.
        if Stat::read(pid)?.children == parent.children {
            return Ok(parent.own + parent.children + living);
        }
    }
}

/// The most memory that a process ever had, in MiB.
pub(super) fn peak_memory(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.with_context(|| format!("{path} has no {name}"))? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4194304 1 2 3 4 250 50 5 6 20 0 1 0 100 1 2";
        let stat = Stat::parse(line).expect("a good line");
        assert_eq!(stat.parent, 3);
        assert_eq!(stat.own, Duration::from_secs(3));
        assert_eq!(stat.children, Duration::from_millis(110));
    }

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        assert!(peak_memory(pid).expect("Linux") > 1.0);
        let own = cpu(pid).expect("Linux");
        assert!(cpu_of_family(pid).expect("Linux") >= own);
    }
}
