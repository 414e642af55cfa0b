//! Progress on stderr: bars on a terminal, JSON lines for programs, nothing otherwise.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use skysense_abi::Level;
use skysense_engine::{Event, Events};

use crate::{context::Context, options::ProgressMode, output, together::Role};

/// How progress is shown. Clones show on the same bars.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Shown>);

enum Shown {
    Nothing,
    Lines,
    Bars { all: MultiProgress, bars: Mutex<BTreeMap<String, ProgressBar>> },
}

impl Progress {
    /// Progress of nodes, shown in the order of `names`; others appear when they first say something.
    pub(crate) fn new(mode: ProgressMode, names: &[String]) -> Self {
        let bars = match mode {
            ProgressMode::Auto => std::io::stderr().is_terminal(),
            ProgressMode::Bar => true,
            ProgressMode::Json => return Self(Arc::new(Shown::Lines)),
            ProgressMode::None => false,
        };
        if !bars {
            return Self(Arc::new(Shown::Nothing));
        }
        let shown = Self(Arc::new(Shown::Bars { all: MultiProgress::new(), bars: Mutex::default() }));
        for name in names {
            shown.bar(name, |_| {});
        }
        shown
    }

    /// Progress of a run, which rank 0 alone shows.
    pub(crate) fn of_role(role: Role, context: &Context, names: &[String]) -> Self {
        Self::new(if role.helps() { ProgressMode::None } else { context.options.progress }, names)
    }

    /// How far something is.
    pub(crate) fn advance(&self, name: &str, done: u64, total: Option<u64>, unit: &str) {
        match &*self.0 {
            Shown::Nothing => {}
            Shown::Lines => {
                output::line(&json!({"event": "progress", "node": name, "done": done, "total": total, "unit": unit}));
            }
            Shown::Bars { .. } => self.bar(name, |bar| {
                bar.set_length(total.unwrap_or(0).max(done));
                bar.set_position(done);
                bar.set_message(unit.to_owned());
            }),
        }
    }

    /// A line for the log.
    pub(crate) fn log(&self, name: &str, level: Level, message: &str) {
        if let Shown::Lines = &*self.0 {
            return output::line(&json!({"event": "log", "node": name, "level": level, "message": message}));
        }
        let tell = || match level {
            Level::Error => tracing::error!("{name}: {message}"),
            Level::Warn => tracing::warn!("{name}: {message}"),
            Level::Info => tracing::info!("{name}: {message}"),
            Level::Debug => tracing::debug!("{name}: {message}"),
        };
        match &*self.0 {
            // Bars are taken off the screen while a line is written, else both end up on one line.
            Shown::Bars { all, .. } => all.suspend(tell),
            _ => tell(),
        }
    }

    /// Takes the bars off the screen.
    pub(crate) fn finish(&self) {
        if let Shown::Bars { all, bars } = &*self.0 {
            lock(bars).values().for_each(ProgressBar::finish_and_clear);
            let _ = all.clear();
        }
    }

    fn bar(&self, name: &str, change: impl FnOnce(&ProgressBar)) {
        let Shown::Bars { all, bars } = &*self.0 else { return };
        let mut bars = lock(bars);
        let bar = bars.entry(name.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::no_length());
            let template = "{prefix:16!} [{bar:30}] {human_pos}/{human_len} {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        change(bar);
    }
}

impl Events for Progress {
    fn event(&self, event: &Event) {
        if let Shown::Lines = &*self.0 {
            return output::line(event);
        }
        match event {
            Event::Progress { node, done, total, unit } => self.advance(node, *done, *total, unit),
            Event::Batch { node, rows, planned } => self.advance(node, *rows, *planned, "rows"),
            Event::Log { node, level, message } => self.log(node, *level, message),
            Event::NodeFinished { node, .. } => self.bar(node, ProgressBar::abandon),
            _ => {}
        }
    }
}

/// A thread that panicked while it held the lock leaves bars that are still good to show.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
