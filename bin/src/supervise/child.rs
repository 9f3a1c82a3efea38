//! One supervised child process: started so that it cannot outlive us, and stopped in bounded time.

use super::SuperviseError;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// How long a start may take: recovering a large store takes its time, and a server that fails is
/// noticed at once.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long a server gets to stop by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// How often we look whether something has come about.
const POLL: Duration = Duration::from_millis(10);

/// A running program: a server, or in tests and measurements one of our own.
#[derive(Debug)]
pub struct Supervised {
    what: &'static str,
    child: Child,
    stop_signal: Signal,
    log: PathBuf,
}

impl Supervised {
    /// Starts `command` with its output in `log` (the log of the run before stays as `….old`).
    /// `stop_signal` is what makes it stop in an orderly way.
    pub async fn spawn(
        what: &'static str,
        mut command: Command,
        stop_signal: Signal,
        log: PathBuf,
    ) -> Result<Self, SuperviseError> {
        let _ = std::fs::rename(&log, log.with_extension("log.old"));
        let doing = || format!("write {}", log.display());
        let file = std::fs::File::create(&log).map_err(SuperviseError::io(doing()))?;
        command.stdin(Stdio::null());
        command.stdout(file.try_clone().map_err(SuperviseError::io(doing()))?).stderr(file);
        // A Ctrl-C on the terminal reaches our process group; we decide when the servers stop.
        command.process_group(0);
        end_with_parent(&mut command, stop_signal);
        let child = spawn_on_lasting_thread(command)
            .await
            .map_err(SuperviseError::io(format!("start {what}")))?;
        Ok(Self { what, child, stop_signal, log })
    }

    /// The process id; 0 once it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until `ready` says so, which it is asked every few milliseconds.
    pub async fn until_ready<T>(
        &mut self,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, SuperviseError> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.ended(status));
            }
            if let Some(answer) = ready().await {
                return Ok(answer);
            }
            sleep(POLL).await;
        }
        let (log, tail) = (self.log.clone(), tail(&self.log));
        Err(SuperviseError::NotReady {
            what: self.what,
            seconds: START_PATIENCE.as_secs(),
            log,
            tail,
        })
    }

    /// Waits until it ends by itself, and says why.
    pub async fn ended_by_itself(&mut self) -> SuperviseError {
        match self.child.wait().await {
            Ok(status) => self.ended(status),
            Err(source) => SuperviseError::Io { doing: format!("wait for {}", self.what), source },
        }
    }

    /// Asks it to stop, and kills it if it takes too long. One that has ended already is fine.
    pub async fn stop(mut self) -> Result<(), SuperviseError> {
        self.signal(self.stop_signal);
        if timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            return self.kill().await;
        }
        Ok(())
    }

    /// Ends it without warning, as a power cut would.
    pub async fn kill(mut self) -> Result<(), SuperviseError> {
        self.child.kill().await.map_err(SuperviseError::io(format!("kill {}", self.what)))
    }

    /// Sends a signal; one that has ended already does not mind.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It can only fail because the process is gone, which is what we want.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn ended(&self, status: ExitStatus) -> SuperviseError {
        let (log, tail) = (self.log.clone(), tail(&self.log));
        SuperviseError::Exited { what: self.what, status, log, tail }
    }
}

/// Dropped without `stop`: asked to stop, not waited for.
impl Drop for Supervised {
    fn drop(&mut self) {
        self.signal(self.stop_signal);
    }
}

/// Has the kernel send `signal` to the child when we die, however we die.
pub(super) fn end_with_parent(command: &mut Command, signal: Signal) {
    let parent = Pid::this();
    let in_child = move || {
        set_pdeathsig(signal)?;
        // We may have died between the fork and the line above; then nobody would tell the child.
        if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    #[expect(unsafe_code, reason = "pre_exec: two system calls, no allocation, no lock")]
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Starts the child from a thread that lives as long as this process.
///
/// To Linux the "parent" of the parent-death signal is the thread that forked, not its process. A
/// worker of a runtime that is shut down (each test has its own) or an idle blocking thread would
/// take the servers along when it ends.
pub(super) async fn spawn_on_lasting_thread(mut command: Command) -> std::io::Result<Child> {
    type Job = Box<dyn FnOnce() + Send>;
    static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        let work = move || jobs.into_iter().for_each(|job| job());
        // If no thread can be had, nobody receives, and sending a job fails.
        let _ = std::thread::Builder::new().name("spawner".to_owned()).spawn(work);
        sender
    });

    let runtime = Handle::current();
    let (answer, child) = oneshot::channel();
    let job = Box::new(move || {
        let _entered = runtime.enter();
        if let Err(Ok(mut unwanted)) = answer.send(command.spawn()) {
            let _ = unwanted.start_kill();
        }
    });
    let no_thread = || std::io::Error::other("no thread to start it from");
    SPAWNER.send(job).map_err(|_| no_thread())?;
    child.await.map_err(|_| no_thread())?
}

/// Waits for what an earlier process left behind in a directory that is ours alone now: after a
/// `kill -9` of that process the server was told to stop at that moment, which takes a while; and
/// the busy backends of a killed PostgreSQL would work on for as long as their queries take.
pub(super) async fn end_leftovers(
    what: &'static str,
    directory: &Path,
    stop_signal: Signal,
) -> Result<(), SuperviseError> {
    let deadline = Instant::now() + STOP_PATIENCE;
    while let Some(&pid) = working_in(what, directory).first() {
        if Instant::now() > deadline {
            return Err(SuperviseError::Leftover { what, pid, directory: directory.to_owned() });
        }
        for pid in working_in(what, directory) {
            let _ = kill(Pid::from_raw(pid), stop_signal);
        }
        sleep(POLL * 5).await;
    }
    Ok(())
}

/// The processes of this program whose working directory is this one. Unlike a process id kept in
/// a file, that never means a stranger.
fn working_in(program: &str, directory: &Path) -> Vec<i32> {
    let ours = |pid: &i32| {
        let process = Path::new("/proc").join(pid.to_string());
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        name.starts_with(program)
            && std::fs::read_link(process.join("cwd")).is_ok_and(|found| found == directory)
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(ours).collect()
}

/// The last lines of a log, in one line.
pub(super) fn tail(log: &Path) -> String {
    const LINES: usize = 5;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { "(nothing)".to_owned() } else { last.join(" | ") }
}
