//! Reading a secret from whoever sits there, or from a pipe: never from the command line, which others
//! can see.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, ensure};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

/// Reads a new password: twice at a terminal, where it is not shown; else the first line that comes.
pub(super) fn new_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let password = hidden("New password: ")?;
    ensure!(hidden("The same again: ")? == password, "the two are not the same");
    Ok(password)
}

fn hidden(prompt: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let shown = tcgetattr(stdin.as_fd())?;
    let mut silent = shown.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &silent)?;
    let read = line();
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &shown)?;
    eprintln!();
    read
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input cannot be read")?;
    let line = line.trim_end_matches(['\r', '\n']);
    ensure!(!line.is_empty(), "there is no password on standard input");
    Ok(line.to_owned())
}
