//! How long others are waited for.

use std::time::Duration;

use crate::PlaceError;

/// How long others are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until all ranks have come, from when this one came: `SKYSENSE_JOIN_SECONDS`, 600.
    pub join: Duration,
    /// How long nothing may be heard of a rank, whose heart beats every second whatever it computes:
    /// `SKYSENSE_SILENCE_SECONDS`, 30.
    pub silence: Duration,
    /// How long a rank that lives may be behind the others: `SKYSENSE_WAIT_SECONDS`, 1800.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { join: Duration::from_secs(600), silence: Duration::from_secs(30), wait: Duration::from_secs(1800) }
    }
}

impl Patience {
    /// As the environment says.
    ///
    /// # Errors
    /// A value that is no number of seconds above 0.
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, PlaceError> {
        let seconds = |name: &'static str, default: Duration| match variable(name) {
            None => Ok(default),
            Some(text) => match text.trim().parse::<f64>() {
                Ok(seconds) if seconds > 0.0 && seconds < 1e9 => Ok(Duration::from_secs_f64(seconds)),
                _ => Err(PlaceError::Value { name, value: text, expected: "seconds, more than 0".into() }),
            },
        };
        let default = Self::default();
        Ok(Self {
            join: seconds("SKYSENSE_JOIN_SECONDS", default.join)?,
            silence: seconds("SKYSENSE_SILENCE_SECONDS", default.silence)?,
            wait: seconds("SKYSENSE_WAIT_SECONDS", default.wait)?,
        })
    }
}
