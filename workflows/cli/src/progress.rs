//! Progress on stderr: bars on a terminal, with the numbers of what trains below them; JSON lines for programs; a plain
//! line now and then otherwise.

mod plain;
mod sparkline;
mod training;

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use skysense_abi::Level;
use skysense_engine::{Event, Events, Measured};

use self::{plain::Plain, training::Training};
use crate::{options::ProgressMode, output};

/// How progress is shown. Clones show on the same bars.
#[derive(Clone)]
pub(crate) struct Progress {
    shown: Arc<Shown>,
    began: Instant,
}

enum Shown {
    Nothing,
    Lines,
    Plain(Mutex<Plain>),
    Bars { all: MultiProgress, nodes: Mutex<BTreeMap<String, NodeBars>> },
}

/// The bar of a node, and the lines below it.
struct NodeBars {
    bar: ProgressBar,
    training: Option<Training>,
    lines: Vec<ProgressBar>,
}

impl Progress {
    /// Progress of nodes, shown in the order of `names`; others appear when they first say something.
    pub(crate) fn new(mode: ProgressMode, names: &[String]) -> Self {
        let bars = || Shown::Bars { all: MultiProgress::new(), nodes: Mutex::default() };
        let shown = match mode {
            ProgressMode::Auto if std::io::stderr().is_terminal() => bars(),
            ProgressMode::Auto | ProgressMode::Plain => Shown::Plain(Mutex::default()),
            ProgressMode::Bar => bars(),
            ProgressMode::Json => Shown::Lines,
            ProgressMode::None => Shown::Nothing,
        };
        let progress = Self { shown: Arc::new(shown), began: Instant::now() };
        for name in names {
            progress.bars(name, |_, _| {});
        }
        progress
    }

    /// How far something is.
    pub(crate) fn advance(&self, name: &str, done: u64, total: Option<u64>, unit: &str) {
        match &*self.shown {
            Shown::Nothing => {}
            Shown::Lines => {
                output::line(&json!({"event": "progress", "node": name, "done": done, "total": total, "unit": unit}));
            }
            Shown::Plain(plain) => {
                let line = lock(plain).advance(name, (done, total), unit, self.began.elapsed());
                line.iter().for_each(|line| output::note(line));
            }
            Shown::Bars { .. } => self.bars(name, |_, NodeBars { bar, .. }| {
                bar.set_length(total.unwrap_or(0).max(done));
                bar.set_position(done);
                bar.set_message(unit.to_owned());
            }),
        }
    }

    /// The numbers of a step.
    fn measured(&self, name: &str, measured: &Measured) {
        let now = self.began.elapsed();
        match &*self.shown {
            Shown::Plain(plain) => {
                let line = lock(plain).measured(name, measured, now);
                line.iter().for_each(|line| output::note(line));
            }
            Shown::Bars { .. } => self.bars(name, |all, node| {
                let training = node.training.get_or_insert_default();
                training.take(measured, now);
                for (at, text) in training.lines().into_iter().enumerate() {
                    if at == node.lines.len() {
                        let above = node.lines.last().unwrap_or(&node.bar);
                        node.lines.push(all.insert_after(above, line_below()));
                    }
                    node.lines[at].set_message(text);
                }
            }),
            Shown::Nothing | Shown::Lines => {}
        }
    }

    /// A line for the log.
    pub(crate) fn log(&self, name: &str, level: Level, message: &str) {
        if let Shown::Lines = &*self.shown {
            return output::line(&json!({"event": "log", "node": name, "level": level, "message": message}));
        }
        let tell = || match level {
            Level::Error => tracing::error!("{name}: {message}"),
            Level::Warn => tracing::warn!("{name}: {message}"),
            Level::Info => tracing::info!("{name}: {message}"),
            Level::Debug => tracing::debug!("{name}: {message}"),
        };
        match &*self.shown {
            // Bars are taken off the screen while a line is written, else both end up on one line.
            Shown::Bars { all, .. } => all.suspend(tell),
            _ => tell(),
        }
    }

    /// Takes the bars off the screen.
    pub(crate) fn finish(&self) {
        if let Shown::Bars { all, nodes } = &*self.shown {
            for node in lock(nodes).values() {
                node.lines.iter().chain([&node.bar]).for_each(ProgressBar::finish_and_clear);
            }
            let _ = all.clear();
        }
    }

    fn bars(&self, name: &str, change: impl FnOnce(&MultiProgress, &mut NodeBars)) {
        let Shown::Bars { all, nodes } = &*self.shown else { return };
        let mut nodes = lock(nodes);
        let node = nodes.entry(name.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::no_length());
            let template = "{prefix:16!} [{bar:30}] {human_pos}/{human_len} {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            NodeBars { bar, training: None, lines: Vec::new() }
        });
        change(all, node);
    }
}

/// A line of text in the room of a bar, cut off where the terminal ends.
fn line_below() -> ProgressBar {
    let line = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("                 {wide_msg}") {
        line.set_style(style);
    }
    line
}

impl Events for Progress {
    fn event(&self, event: &Event) {
        if let Shown::Lines = &*self.shown {
            return output::line(event);
        }
        match event {
            Event::Progress { node, done, total, unit } => self.advance(node, *done, *total, unit),
            Event::Measures { node, measured } => self.measured(node, measured),
            Event::Batch { node, rows, planned } => self.advance(node, *rows, *planned, "rows"),
            Event::Log { node, level, message } => self.log(node, *level, message),
            Event::NodeFinished { node, .. } => self.bars(node, |_, node| node.bar.abandon()),
            _ => {}
        }
    }
}

/// A thread that panicked while it held the lock leaves bars that are still good to show.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
