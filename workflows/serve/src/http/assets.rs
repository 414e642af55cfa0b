//! Files of published items, with ranges, so that a COG is read piece by piece.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    path::{Path, PathBuf},
};

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use futures_util::stream;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::{
    Api,
    answer::{Answer, Problem, bytes, set},
    call::Call,
};
use crate::StoredItem;

/// Bytes that are read at once.
const PORTION: u64 = 256 << 10;

/// `GET /stac/collections/{collection}/items/{item}/assets/{asset}`
pub(crate) fn show(api: &Api, call: &Call) -> Answer {
    let (id, key) = (call.part("item"), call.part("asset"));
    let item = api.service.store.item(call.part("collection"), id)?.ok_or_else(|| Problem::missing("item", id))?;
    let asset = &item.item["assets"][key];
    let path = file(&item, asset).ok_or_else(|| Problem::missing("asset", key))?;
    let gone = |_| Problem::new(StatusCode::GONE, format!("the file of asset `{key:.100}` is not there any more"));
    let mut opened = File::open(&path).map_err(gone)?;
    let size = opened.metadata().map_err(gone)?.len();
    let range = call.header("range").map(|text| range(text, size));
    let (start, end, status) = match range {
        Some(Wanted::Part(start, end)) => (start, end, StatusCode::PARTIAL_CONTENT),
        Some(Wanted::Outside) => {
            let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "the file ends before that").response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
        // What is no single range of bytes is answered with all of it, as the standard allows.
        Some(Wanted::All) | None => (0, size, StatusCode::OK),
    };
    opened.seek(SeekFrom::Start(start)).map_err(gone)?;
    let kind = asset["type"].as_str().unwrap_or("application/octet-stream");
    let mut response: Response<Body> = bytes(status, kind, body(opened, end - start));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_LENGTH, &(end - start).to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1));
    }
    // What a run wrote may hold anything: a browser is not to run it as a page of ours.
    set(&mut response, header::CONTENT_DISPOSITION, "attachment");
    Ok(response)
}

/// The file of an asset: one that lies beside its item, links followed, and no other of this machine.
pub(super) fn file(item: &StoredItem, asset: &Value) -> Option<PathBuf> {
    let href = asset["href"].as_str()?;
    let path = Path::new(href.strip_prefix("file://").unwrap_or(href));
    let folder = Path::new(&item.href).parent()?.canonicalize().ok()?;
    let real = path.canonicalize().ok()?;
    (path.is_absolute() && real.starts_with(folder) && real.is_file()).then_some(real)
}

fn body(file: File, length: u64) -> Body {
    let file = tokio::fs::File::from_std(file);
    Body::from_stream(stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut portion = vec![0; left.min(PORTION) as usize];
        match file.read(&mut portion).await {
            Ok(0) => Some((Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)), (file, 0))),
            Ok(read) => {
                portion.truncate(read);
                Some((Ok(portion), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    }))
}

#[derive(Debug, PartialEq)]
enum Wanted {
    /// From the first byte to the one behind the last.
    Part(u64, u64),
    Outside,
    All,
}

fn range(text: &str, size: u64) -> Wanted {
    let Some((first, last)) =
        text.strip_prefix("bytes=").filter(|text| !text.contains(',')).and_then(|text| text.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim().is_empty(), number(first), last.trim().is_empty(), number(last)) {
        // The last so many.
        (true, None, false, Some(0)) => Wanted::Outside,
        (true, None, false, Some(count)) => {
            if size == 0 {
                Wanted::Outside
            } else {
                Wanted::Part(size.saturating_sub(count), size)
            }
        }
        (false, Some(first), true, None) if first < size => Wanted::Part(first, size),
        (false, Some(first), false, Some(last)) if first <= last && first < size => {
            Wanted::Part(first, size.min(last.saturating_add(1)))
        }
        (false, Some(first), true, None) if first >= size => Wanted::Outside,
        (false, Some(first), false, Some(last)) if first <= last => Wanted::Outside,
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_the_standard_says() {
        for (text, expected) in [
            ("bytes=0-9", Wanted::Part(0, 10)),
            ("bytes=90-", Wanted::Part(90, 100)),
            ("bytes=90-500", Wanted::Part(90, 100)),
            ("bytes=-5", Wanted::Part(95, 100)),
            ("bytes=-500", Wanted::Part(0, 100)),
            ("bytes=100-", Wanted::Outside),
            ("bytes=100-200", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("items=0-1", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=0-18446744073709551615", Wanted::Part(0, 100)),
        ] {
            assert_eq!(range(text, 100), expected, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Wanted::Outside);
    }
}
