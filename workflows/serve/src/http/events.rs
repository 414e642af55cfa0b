//! How a run goes, as server-sent events: what it says, line by line, and at last where it stands.

use std::{io::SeekFrom, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{RawPathParams, State},
    http::{HeaderMap, Response, StatusCode},
};
use futures_util::stream;
use skysense_address::redact_in_place;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::Instant,
};

use super::{
    Api,
    answer::{Problem, bytes},
    runs,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest silence: a proxy would close a connection on which nothing comes.
const SILENCE: Duration = Duration::from_secs(15);
/// Most bytes of one look.
const PORTION: u64 = 256 << 10;

/// Where a follower is.
struct Follower {
    api: Arc<Api>,
    run: String,
    file: PathBuf,
    /// Bytes that were sent, in whole lines.
    offset: u64,
    spoken: Instant,
    ended: bool,
}

/// `GET /api/v1/runs/{run}/events`
pub(crate) async fn follow(State(api): State<Arc<Api>>, path: RawPathParams, headers: HeaderMap) -> Response<Body> {
    let run = path.iter().find(|(name, _)| *name == "run").map(|(_, run)| run.to_owned()).unwrap_or_default();
    let (asked, id) = (api.clone(), run.clone());
    let known = tokio::task::spawn_blocking(move || asked.service.store.run(&id)).await;
    if !matches!(known, Ok(Ok(_))) {
        return Problem::missing("run", &run).response();
    }
    // The id of an event is where its line ends, so a browser that was cut off goes on there.
    let offset = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()).unwrap_or(0);
    let file = api.service.scheduler.home(&run).progress();
    let follower = Follower { api, run, file, offset, spoken: Instant::now(), ended: false };
    let stream = stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), follower))
    });
    bytes(StatusCode::OK, "text/event-stream", Body::from_stream(stream))
}

impl Follower {
    /// The next text to send; nothing when all is said.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.ended || self.api.service.cancel.is_cancelled() {
                return None;
            }
            // Where the run stands is asked first: what it said before is read afterwards in any case.
            let (api, id) = (self.api.clone(), self.run.clone());
            let run = tokio::task::spawn_blocking(move || api.service.store.run(&id)).await.ok()?.ok()?;
            let text = self.lines().await;
            if !text.is_empty() {
                self.spoken = Instant::now();
                return Some(text);
            }
            if run.state.is_final() {
                self.ended = true;
                return Some(format!("event: end\ndata: {}\n\n", runs::shown(&run)));
            }
            if self.spoken.elapsed() > SILENCE {
                self.spoken = Instant::now();
                return Some(": waiting\n\n".to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whole lines that were not sent yet, as events.
    async fn lines(&mut self) -> String {
        let mut read = Vec::new();
        let Ok(mut file) = File::open(&self.file).await else { return String::new() };
        if file.seek(SeekFrom::Start(self.offset)).await.is_err() {
            return String::new();
        }
        if file.take(PORTION).read_to_end(&mut read).await.is_err() {
            return String::new();
        }
        let mut text = String::new();
        let full = read.len() as u64 == PORTION;
        for line in read.split_inclusive(|byte| *byte == b'\n') {
            // A line that is still being written is sent when it is whole; one that fills the portion never gets whole.
            if !line.ends_with(b"\n") && (!full || !text.is_empty()) {
                break;
            }
            self.offset += line.len() as u64;
            let shown = redact_in_place(String::from_utf8_lossy(line).trim_end());
            if !shown.is_empty() {
                text.push_str(&format!("id: {}\ndata: {shown}\n\n", self.offset));
            }
        }
        text
    }
}
