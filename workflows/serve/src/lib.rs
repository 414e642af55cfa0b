//! The service: catalogs that map themselves.
//!
//! ```text
//! trigger ─► event ─► group ─► run (a child process of `skysense run`) ─► results ─► STAC API, tiles, page
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `state` | everything that has to survive, in one SQLite file |
//! | `trigger` | the types of triggers, and the settings that they share |
//! | `watcher` | lets triggers look when their time has come |
//! | `scheduler`, `child`, `material`, `outputs`, `publish` | runs what is queued: room, process, params, files, results |
//! | `json_file` | reads items from files |
//! | `memory` | what the allocator keeps |
//! | `workflows` | the workflows of a folder, as they are now |
//! | `http` | the API and the page |
//! | `map_library` | the library that the page draws its map with |
//! | `traces` | what took how long, for a collector of OpenTelemetry |
//! | `service` | all of it together, until somebody ends it |

mod child;
mod clock;
mod error;
mod http;
mod ids;
mod json_file;
mod map_library;
mod material;
mod memory;
mod outputs;
mod publish;
mod scheduler;
mod service;
mod state;
mod traces;
mod trigger;
mod watcher;
mod workflows;

pub use clock::{Millis, now};
pub use error::{Result, ServeError};
pub use http::{Listen, Server};
pub use map_library::MapLibrary;
pub use scheduler::Limits;
pub use service::{Service, Setup};
pub use state::{
    Accepted, Ended, GroupRule, ItemQuery, Late, NewEvent, NewResult, NewRun, OnTimeout, Room, Run, RunFilter,
    RunState, ServiceLock, Skip, Store, StoredCollection, StoredEvent, StoredItem, TriggerState,
};
pub use traces::Collector;
pub use trigger::{check_triggers, trigger_types};
pub use watcher::{Looked, backfill, fire, look, test_trigger};
pub use workflows::{Library, Workflow};
