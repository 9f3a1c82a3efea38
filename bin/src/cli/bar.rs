//! How far something is: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Steps of a bar.
const STEPS: u64 = 1000;

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(5);

/// Shows how far something is.
pub(super) struct Bar {
    bar: ProgressBar,
    name: String,
    line: Cell<Instant>,
}

impl Bar {
    /// Begins.
    pub(super) fn new(name: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(STEPS)
        } else {
            ProgressBar::hidden()
        };
        // The template is a constant; a bar without one is a bar still.
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:10} [{wide_bar}] {percent:>3} %  {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        Self { bar, name: name.to_owned(), line: Cell::new(Instant::now()) }
    }

    /// It is this far, from 0 to 1.
    pub(super) fn at(&self, ratio: f64) {
        self.bar.set_position((ratio.clamp(0.0, 1.0) * STEPS as f64) as u64);
        if self.bar.is_hidden() && self.line.get().elapsed() > LINES {
            self.line.set(Instant::now());
            tracing::info!(name = self.name, percent = (ratio * 100.0) as u64, "progress");
        }
    }

    /// It is done.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
