//! Which of how many processes this one is, and where they meet: read from the environment.
//!
//! | what | `torchrun` and its like | Slurm, in a step of `srun` |
//! | --- | --- | --- |
//! | rank | `RANK` | `SLURM_PROCID` |
//! | size | `WORLD_SIZE` | `SLURM_STEP_NUM_TASKS`, else `SLURM_NTASKS` |
//! | rank on this host | `LOCAL_RANK`, else 0 | `SLURM_LOCALID` |
//! | processes of this host | `LOCAL_WORLD_SIZE` | not used |
//! | host of rank 0 | `MASTER_ADDR` | `MASTER_ADDR`, else the first of `SLURM_STEP_NODELIST`, `SLURM_JOB_NODELIST` or `SLURM_NODELIST` |
//! | its port | `MASTER_PORT` | `MASTER_PORT`, else from `SLURM_JOB_ID` and `SLURM_STEP_ID` |
//!
//! `SKYSENSE_PORT` goes before both ports. Where `torchrun` keeps a store of its own on its port
//! (`TORCHELASTIC_USE_AGENT_STORE`), the port after that is taken. A batch script outside of `srun` is no rank, though
//! Slurm gives it a `SLURM_PROCID`.

use sha2::{Digest, Sha256};

use crate::{Patience, Token, expand};

/// First port that is derived from a job, and how many there are: below those that systems give to clients.
const PORTS: (u64, u64) = (15_000, 17_000);

/// A process among those that work together.
#[derive(Debug, Clone)]
pub struct Place {
    /// This process, from 0.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// This process among those of its host, from 0.
    pub local_rank: usize,
    /// How many processes this host has, where that is known.
    pub local_size: Option<usize>,
    /// Host of rank 0.
    pub master: String,
    /// Port on which rank 0 takes the others in.
    pub port: u16,
    /// What a rank must know to be taken in.
    pub token: Token,
    /// How long others are waited for.
    pub patience: Patience,
}

/// An environment that does not say which process this is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A variable has no use as it is.
    #[error("environment variable {name} is {value:?}, expected {expected}")]
    Value {
        /// Its name.
        name: &'static str,
        /// As it is.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// A variable lacks that others call for.
    #[error(
        "environment variable {name} is not set, though {because}; start all processes by one launcher, or unset the rest"
    )]
    Missing {
        /// Its name.
        name: &'static str,
        /// What calls for it.
        because: String,
    },
}

type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Place {
    /// As the environment of this process says; `None` where it works alone.
    ///
    /// # Errors
    /// [`PlaceError`]: variables that contradict each other or cannot be read.
    pub fn of_process() -> Result<Option<Self>, PlaceError> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    /// As such variables say; `None` where they speak of one process, or of none.
    ///
    /// # Errors
    /// As [`Place::of_process`].
    pub fn from_variables(variable: &Variables<'_>) -> Result<Option<Self>, PlaceError> {
        // An empty variable is as good as none.
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let found = if variable("RANK").is_some() || variable("WORLD_SIZE").is_some() {
            Self::of_launcher(&variable)?
        } else if variable("SLURM_STEP_ID").is_some() && variable("SLURM_PROCID").is_some() {
            Self::of_slurm(&variable)?
        } else {
            return Ok(None);
        };
        if found.rank >= found.size {
            return Err(PlaceError::Value {
                name: if variable("RANK").is_some() { "RANK" } else { "SLURM_PROCID" },
                value: found.rank.to_string(),
                expected: format!("less than the number of processes, {}", found.size),
            });
        }
        Ok((found.size > 1).then_some(found))
    }

    fn of_launcher(variable: &Variables<'_>) -> Result<Self, PlaceError> {
        let because = "RANK or WORLD_SIZE is";
        let rank = number(variable, "RANK", because)?;
        let size = number(variable, "WORLD_SIZE", because)?;
        let local = |name| variable(name).map(|_| number(variable, name, because)).transpose();
        let (local_rank, local_size) = (local("LOCAL_RANK")?.unwrap_or(0), local("LOCAL_WORLD_SIZE")?);
        let missing = |name| PlaceError::Missing { name, because: because.into() };
        // One process meets nobody.
        let master = match variable("MASTER_ADDR") {
            Some(master) => master,
            None if size <= 1 => String::new(),
            None => return Err(missing("MASTER_ADDR")),
        };
        let port = match port(variable, "MASTER_PORT")? {
            Some(port) => port,
            None if size <= 1 || variable("SKYSENSE_PORT").is_some() => 1,
            None => return Err(missing("MASTER_PORT")),
        };
        let kept = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let port = if kept { port.checked_add(1).unwrap_or(port - 1) } else { port };
        let job = variable("TORCHELASTIC_RUN_ID").unwrap_or_default();
        Self { rank, size, local_rank, local_size, master, port, token: Token::new([]), patience: Patience::default() }
            .finished(variable, &job)
    }

    fn of_slurm(variable: &Variables<'_>) -> Result<Self, PlaceError> {
        let because = "SLURM_STEP_ID and SLURM_PROCID are";
        let rank = number(variable, "SLURM_PROCID", because)?;
        let of_step = variable("SLURM_STEP_NUM_TASKS").is_some();
        let size = number(variable, if of_step { "SLURM_STEP_NUM_TASKS" } else { "SLURM_NTASKS" }, because)?;
        let local_rank = number(variable, "SLURM_LOCALID", because)?;
        let master = match variable("MASTER_ADDR") {
            Some(master) => master,
            None => first_host(variable, because)?,
        };
        let (job, step) = (variable("SLURM_JOB_ID").unwrap_or_default(), variable("SLURM_STEP_ID").unwrap_or_default());
        let port = match port(variable, "MASTER_PORT")? {
            Some(port) => port,
            None => derived_port(&job, &step, because)?,
        };
        Self {
            rank,
            size,
            local_rank,
            local_size: None,
            master,
            port,
            token: Token::new([]),
            patience: Patience::default(),
        }
        .finished(variable, &format!("{job}.{step}"))
    }

    /// What both have: an own port, the token, patience.
    fn finished(mut self, variable: &Variables<'_>, job: &str) -> Result<Self, PlaceError> {
        if let Some(port) = port(variable, "SKYSENSE_PORT")? {
            self.port = port;
        }
        self.token = match variable("SKYSENSE_TOKEN") {
            Some(token) => Token::new(token),
            None => {
                let job = format!("skysense {job} {} {}", self.master, self.port);
                Token::new(Sha256::digest(job.as_bytes()))
            }
        };
        self.patience = Patience::from_variables(variable)?;
        Ok(self)
    }
}

fn first_host(variable: &Variables<'_>, because: &str) -> Result<String, PlaceError> {
    let names = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"];
    let Some((name, list)) = names.into_iter().find_map(|name| Some((name, variable(name)?))) else {
        return Err(PlaceError::Missing { name: "SLURM_JOB_NODELIST", because: because.into() });
    };
    expand(&list).and_then(|hosts| hosts.into_iter().next()).ok_or_else(|| PlaceError::Value {
        name,
        value: list,
        expected: "hosts as Slurm lists them, such as node[1-4]; or set MASTER_ADDR".into(),
    })
}

fn derived_port(job: &str, step: &str, because: &str) -> Result<u16, PlaceError> {
    if job.is_empty() {
        return Err(PlaceError::Missing {
            name: "SLURM_JOB_ID",
            because: format!("{because}, and MASTER_PORT is not"),
        });
    }
    let (Ok(job), Ok(step)) = (job.parse::<u64>(), step.parse::<u64>()) else {
        let value = format!("{job}.{step}");
        return Err(PlaceError::Value { name: "SLURM_JOB_ID", value, expected: "a number; or set MASTER_PORT".into() });
    };
    // Steps of one job may run at once, side by side with those of the next one.
    Ok((PORTS.0 + job.wrapping_mul(16).wrapping_add(step) % PORTS.1) as u16)
}

fn number(variable: &Variables<'_>, name: &'static str, because: &str) -> Result<usize, PlaceError> {
    let value = variable(name).ok_or_else(|| PlaceError::Missing { name, because: because.into() })?;
    match value.trim().parse::<usize>() {
        Ok(number) if number < 65_536 => Ok(number),
        _ => Err(PlaceError::Value { name, value, expected: "a whole number below 65536".into() }),
    }
}

fn port(variable: &Variables<'_>, name: &'static str) -> Result<Option<u16>, PlaceError> {
    let Some(value) = variable(name) else { return Ok(None) };
    match value.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(PlaceError::Value { name, value, expected: "a port, from 1 to 65535".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &str) -> Result<Option<Place>, PlaceError> {
        let find = |name: &str| {
            let mut all = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
            all.find(|(one, _)| *one == name).map(|(_, value)| value.to_owned())
        };
        Place::from_variables(&find)
    }

    #[test]
    fn a_launcher_says_all() {
        let found = place("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 MASTER_ADDR=n1 MASTER_PORT=29500");
        let found = found.unwrap().unwrap();
        assert_eq!((found.rank, found.size, found.local_rank, found.local_size), (5, 8, 1, Some(4)));
        assert_eq!((found.master.as_str(), found.port), ("n1", 29500));
        let kept = "RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1 MASTER_PORT=29500 TORCHELASTIC_USE_AGENT_STORE=True";
        assert_eq!(place(kept).unwrap().unwrap().port, 29501);
        let own = place(&format!("{kept} SKYSENSE_PORT=7000 SKYSENSE_JOIN_SECONDS=2.5")).unwrap().unwrap();
        assert_eq!((own.port, own.patience.join.as_millis()), (7000, 2500));
    }

    #[test]
    fn slurm_says_all() {
        let step =
            "SLURM_PROCID=3 SLURM_NTASKS=16 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=3 SLURM_STEP_ID=2 SLURM_JOB_ID=1001";
        let found = place(&format!("{step} SLURM_JOB_NODELIST=gpu[07-08]")).unwrap().unwrap();
        assert_eq!((found.rank, found.size, found.local_rank), (3, 8, 3));
        assert_eq!((found.master.as_str(), found.port), ("gpu07", 15_000 + 16_018));
        let named = place(&format!("{step} MASTER_ADDR=h MASTER_PORT=9 SLURM_NODELIST=x")).unwrap().unwrap();
        assert_eq!((named.master.as_str(), named.port), ("h", 9));
        assert!(place("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_JOB_ID=1 SLURM_LOCALID=0").unwrap().is_none(), "no step");
    }

    #[test]
    fn alone_without_others() {
        assert!(place("").unwrap().is_none());
        assert!(place("RANK=0 WORLD_SIZE=1").unwrap().is_none());
        assert!(place("RANK= WORLD_SIZE=").unwrap().is_none());
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        for (variables, part) in [
            ("RANK=1", "WORLD_SIZE is not set"),
            ("WORLD_SIZE=2", "RANK is not set"),
            ("RANK=0 WORLD_SIZE=2", "MASTER_ADDR is not set"),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h", "MASTER_PORT is not set"),
            ("RANK=2 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=1", "RANK is \"2\", expected less than"),
            ("RANK=-1 WORLD_SIZE=2", "RANK is \"-1\""),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=0", "MASTER_PORT is \"0\""),
            (
                "RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=1 SKYSENSE_WAIT_SECONDS=0",
                "SKYSENSE_WAIT_SECONDS is \"0\"",
            ),
            ("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_LOCALID=0 SLURM_JOB_ID=1", "NODELIST is not set"),
            (
                "SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_LOCALID=0 SLURM_JOB_ID=1 SLURM_NODELIST=n[",
                "SLURM_NODELIST is \"n[\"",
            ),
        ] {
            let error = place(variables).unwrap_err().to_string();
            assert!(error.contains(part), "{variables}: {error}");
        }
    }

    #[test]
    fn tokens_follow_the_job_unless_they_are_given() {
        let at = |more: &str| {
            let place = place(&format!("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=1 {more}")).unwrap().unwrap();
            place.token
        };
        assert!(at("") == at("") && at("") != at("TORCHELASTIC_RUN_ID=7"));
        assert!(
            at("SKYSENSE_TOKEN=a") == at("SKYSENSE_TOKEN=a TORCHELASTIC_RUN_ID=7") && at("SKYSENSE_TOKEN=a") != at("")
        );
    }
}
