//! What tools of plugins see of this program.

use skysense_abi::{About, HostCallbacks, Level};
use skysense_engine::Cancel;

use crate::progress::Progress;

/// The host of one call of a tool.
pub(crate) struct ToolHost {
    tool: String,
    progress: Progress,
    cancel: Cancel,
}

impl ToolHost {
    /// A host that shows progress and can be cancelled.
    pub(crate) fn new(tool: &str, progress: Progress, cancel: Cancel) -> Self {
        Self { tool: tool.to_owned(), progress, cancel }
    }
}

impl HostCallbacks for ToolHost {
    fn log(&self, level: Level, message: &str) {
        self.progress.log(&self.tool, level, message);
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.progress.advance(&self.tool, done, total, unit);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn about(&self) -> About {
        let mut about = About::default();
        about.node = self.tool.clone();
        about.threads = std::thread::available_parallelism().map_or(1, usize::from);
        // Paths on the command line start where the user stands.
        about.base = std::env::current_dir().unwrap_or_else(|_| ".".into());
        about
    }
}
