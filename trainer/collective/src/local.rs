//! The environment of processes that are started on one host.

use std::net::{Ipv4Addr, TcpListener};

use crate::secret::nonce;

/// Where processes of this host meet, which know each other by a token that is drawn for them.
#[derive(Debug)]
pub struct Local {
    port: u16,
    token: String,
}

impl Local {
    /// A port that is free now.
    ///
    /// # Errors
    /// The system has none.
    pub fn new() -> std::io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Self { port, token: nonce().iter().map(|byte| format!("{byte:02x}")).collect() })
    }

    /// What the environment of a process says, by name.
    pub fn variables(&self, rank: usize, size: usize) -> [(&'static str, String); 7] {
        [
            ("RANK", rank.to_string()),
            ("WORLD_SIZE", size.to_string()),
            ("LOCAL_RANK", rank.to_string()),
            ("LOCAL_WORLD_SIZE", size.to_string()),
            ("MASTER_ADDR", Ipv4Addr::LOCALHOST.to_string()),
            ("SKYSENSE_PORT", self.port.to_string()),
            ("SKYSENSE_TOKEN", self.token.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    #[test]
    fn a_process_finds_its_place() {
        let local = Local::new().unwrap();
        let variables = local.variables(2, 4);
        let find = |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| value.clone());
        let place = Place::from_variables(&find).unwrap().unwrap();
        assert_eq!((place.rank, place.size, place.local_rank, place.local_size), (2, 4, 2, Some(4)));
        assert_eq!((place.master.as_str(), place.port), ("127.0.0.1", local.port));
    }
}
