//! What a trigger found, and the event that it becomes.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use skysense_catalog::{Access, Item, Root, format_datetime};

use super::Trigger;
use crate::{NewEvent, ids};

/// Something that a trigger found.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// An item, of a catalog or of a request.
    Item(Box<Item>),
    /// A file that is no item.
    File {
        /// Where it lies.
        path: PathBuf,
        /// What tells its content from another one.
        content: String,
    },
    /// A moment of a schedule.
    Moment(DateTime<Utc>),
}

/// What became of what was found: an event, or nothing since it is not wanted.
pub(crate) type Judged = Result<Option<NewEvent>, (String, String)>;

impl Found {
    /// The event that it becomes for a trigger; nothing where it is not wanted; an error where it may not be used.
    pub(crate) fn event(self, trigger: &Trigger) -> Judged {
        match self {
            Self::Item(item) => match trigger.select.passes(&item) {
                Ok(true) => item_event(&item, trigger),
                Ok(false) => Ok(None),
                Err(reason) => Err((subject(&item), reason)),
            },
            Self::File { path, content } => {
                let href = path.display().to_string();
                Ok(Some(NewEvent {
                    key: href.clone(),
                    subject: href.clone(),
                    part: "file".into(),
                    version: String::new(),
                    content,
                    interval: None,
                    payload: json!({"file": href}),
                }))
            }
            Self::Moment(moment) => {
                let text = format_datetime(moment);
                Ok(Some(NewEvent {
                    key: text.clone(),
                    subject: text.clone(),
                    part: "moment".into(),
                    version: text.clone(),
                    content: text.clone(),
                    interval: Some((text.clone(), text.clone())),
                    payload: json!({"moment": text}),
                }))
            }
        }
    }
}

/// What names an item.
pub(crate) fn subject(item: &Item) -> String {
    match item.collection() {
        Some(collection) => format!("{collection}/{}", item.id()),
        None => item.id().to_owned(),
    }
}

fn item_event(item: &Item, trigger: &Trigger) -> Judged {
    let subject = subject(item);
    // Items end up in a file of this machine, whose hrefs may lead to files beside it. Those of others may not.
    if !item.root().is_local() {
        reaches_out(item).map_err(|reason| (subject.clone(), reason))?;
    }
    let mut payload = Value::Object(item.value().clone());
    if let Value::Object(fields) = &mut payload {
        // Links lead back to where it was found; what is read of an item are its assets.
        fields.insert("links".into(), json!([]));
    }
    let text = |moment: DateTime<Utc>| format_datetime(moment);
    let version = item.text("updated").or(item.text("created")).and_then(skysense_catalog::parse_datetime);
    Ok(Some(NewEvent {
        key: trigger.group.key(item),
        part: item.collection().unwrap_or_default().to_owned(),
        version: version.map(text).unwrap_or_default(),
        content: content(&payload),
        interval: item.interval().map(|(start, end)| (text(start), text(end))),
        payload,
        subject,
    }))
}

/// What makes an item another one: not the moment at which a catalog touched it.
fn content(payload: &Value) -> String {
    let mut payload = payload.clone();
    if let Some(properties) = payload.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove("updated");
        properties.shift_remove("created");
    }
    ids::content(&payload)
}

/// Whether all assets of an item from elsewhere lie elsewhere.
fn reaches_out(item: &Item) -> Result<(), String> {
    let access = Access::default();
    let remote = Root::Remote("https://elsewhere.invalid/".into());
    for href in hrefs(item) {
        access.locate(&remote, href).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The hrefs of all assets, alternates included.
pub(crate) fn hrefs(item: &Item) -> impl Iterator<Item = &str> {
    let assets = item.value().get("assets").and_then(Value::as_object).into_iter().flat_map(|assets| assets.values());
    assets.flat_map(|asset| {
        let own = asset.get("href").and_then(Value::as_str);
        let others = asset.get("alternate").and_then(Value::as_object).into_iter().flat_map(|all| all.values());
        own.into_iter().chain(others.filter_map(|other| other.get("href")?.as_str()))
    })
}
