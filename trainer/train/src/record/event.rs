//! The messages of TensorBoard's event files that numbers need, with the field numbers of the format.
//!
//! Source of the numbers: `event.proto` and `summary.proto` of the TensorBoard project (`tensorboard/compat/proto`).

/// One record of an event file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    /// `brain.Event:2` in the first record of a file, and in no other.
    #[prost(string, optional, tag = "3")]
    pub(super) file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub(super) session_log: Option<SessionLog>,
}

/// Values of a step.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

/// One value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(float, optional, tag = "2")]
    pub(super) simple_value: Option<f32>,
}

/// What a session did.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionLog {
    /// 1: it started, and whatever was told of its step and later steps before no longer holds.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

/// [`SessionLog::status`] of a start.
pub(super) const START: i32 = 1;

/// [`Event::file_version`].
pub(super) const VERSION: &str = "brain.Event:2";
