//! Ctrl-C, SIGTERM, and a parent that goes away.

use std::{io::Read, process, thread, time::Duration};

use skysense_engine::Cancel;

use crate::{exit::Exit, output};

/// How long a run may take to end cleanly after the parent went away.
const GRACE: Duration = Duration::from_secs(20);

/// Watches for the rest of the process: the first signal ends cleanly, the second at once.
pub(crate) fn watch(cancel: Cancel, with_parent: bool) {
    if with_parent {
        let cancel = cancel.clone();
        // A thread of its own, since reading stdin cannot be interrupted.
        spawn("skysense-parent", move || {
            let mut buffer = [0_u8; 4096];
            let mut stdin = std::io::stdin().lock();
            while stdin.read(&mut buffer).is_ok_and(|read| read > 0) {}
            cancel.cancel();
            thread::sleep(GRACE);
            leave();
        });
    }
    spawn("skysense-signals", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return tracing::warn!("signals are not watched") };
        runtime.block_on(async {
            let mut signals = match Signals::new() {
                Ok(signals) => signals,
                Err(error) => return tracing::warn!("signals are not watched: {error}"),
            };
            signals.next().await;
            cancel.cancel();
            output::note("ending cleanly; once more to end at once");
            signals.next().await;
            leave();
        });
    });
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!("no thread for {name}: {error}");
    }
}

fn leave() -> ! {
    process::exit(i32::from(Exit::Cancelled.code()));
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
