//! Checkpoints: a killed run goes on where it stood and ends with the same weights.
//!
//! A checkpoint is a folder `step-N` with `model.bpk`, `optimizer.bpk` (Burn's records, which keep the ids that
//! tie a parameter to its moments) and `state.json`. It is written under a temporary name and renamed, and the
//! one before it is removed after that, so a kill at any moment leaves one that is whole. Randomness needs no
//! record: it is a function of seed and step.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::loss_scale::LossScale;

/// What a run must know besides its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Checksum of settings and samples: another run does not go on from this.
    pub(crate) identity: String,
    /// Steps done.
    pub(crate) step: usize,
    /// Steps of the whole run, as lowered to a time budget.
    pub(crate) steps: usize,
    /// What the loss is multiplied with.
    pub(crate) scale: LossScale,
    /// Losses of the steps done.
    pub(crate) losses: Vec<f32>,
}

const STATE: &str = "state.json";

/// The folder that holds the checkpoints of one run.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    /// The newest whole checkpoint of a run with this identity.
    pub(crate) fn latest(&self, identity: &str) -> Result<Option<(PathBuf, State)>, TrainError> {
        let Some((_, path)) = self.steps().into_iter().max() else { return Ok(None) };
        let fault = |message: String| TrainError::Checkpoint { path: path.clone(), message };
        let text = fs::read_to_string(path.join(STATE)).map_err(|error| fault(error.to_string()))?;
        let state: State = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
        if state.identity != identity {
            return Err(fault("it is of a run with other settings or samples".into()));
        }
        Ok(Some((path, state)))
    }

    /// Writes a checkpoint: `fill` puts the weights into the folder that it is given.
    pub(crate) fn write(
        &self,
        state: &State,
        fill: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let path = self.folder.join(format!("step-{}", state.step));
        let temporary = self.folder.join(format!("step-{}.tmp", state.step));
        let fault = |error: std::io::Error| TrainError::Checkpoint { path: path.clone(), message: error.to_string() };
        for old in [&temporary, &path] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(fault)?;
            }
        }
        fs::create_dir_all(&temporary).map_err(fault)?;
        fill(&temporary)?;
        let text = serde_json::to_vec(state).map_err(|error| fault(error.into()))?;
        fs::write(temporary.join(STATE), text).map_err(fault)?;
        fs::rename(&temporary, &path).map_err(fault)?;
        for (step, old) in self.steps() {
            if step != state.step {
                fs::remove_dir_all(&old).map_err(fault)?;
            }
        }
        Ok(())
    }

    /// Whole checkpoints, which have lost the temporary end of their names.
    fn steps(&self) -> Vec<(usize, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let whole = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.ok()?.path();
            let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
            Some((step, path))
        };
        entries.filter_map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(step: usize) -> State {
        State { identity: "a".into(), step, steps: 10, scale: LossScale::default(), losses: vec![0.5; step] }
    }

    #[test]
    fn the_newest_whole_one_counts_and_older_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        assert_eq!(checkpoints.latest("a").unwrap(), None);
        for step in [2, 10] {
            checkpoints
                .write(&state(step), |path| {
                    fs::write(path.join("weights"), "w").unwrap();
                    Ok(())
                })
                .unwrap();
        }
        fs::create_dir(folder.path().join("step-12.tmp")).unwrap();
        let (path, found) = checkpoints.latest("a").unwrap().unwrap();
        assert_eq!(found, state(10));
        assert!(path.join("weights").is_file());
        assert!(!folder.path().join("step-2").exists());
        assert!(checkpoints.latest("b").unwrap_err().to_string().contains("other settings"));
    }

    #[test]
    fn a_failed_write_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        checkpoints.write(&state(1), |_| Ok(())).unwrap();
        let failed = checkpoints.write(&state(2), |_| Err(TrainError::Model("full".into())));
        assert!(failed.is_err());
        assert_eq!(checkpoints.latest("a").unwrap().unwrap().1.step, 1);
    }
}
