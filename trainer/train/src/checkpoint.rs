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
    /// Scores of what validates, where training may end early by them.
    #[serde(default)]
    pub(crate) watched: Vec<f64>,
    /// Losses of the steps done.
    pub(crate) losses: Vec<f32>,
    /// Places that were left out so far because they could not be read.
    pub(crate) skipped: usize,
}

const STATE: &str = "state.json";

/// Which checkpoints stay when a new one is whole. The default keeps the newest alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Keep {
    /// How many of the newest beside the last one.
    pub(crate) older: usize,
    /// Whether the one with the lowest mean loss since the one before it stays too.
    pub(crate) best: bool,
}

/// The folder that holds the checkpoints of one run.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keep: Keep,
}

impl Checkpoints {
    pub(crate) fn new(folder: &Path, keep: Keep) -> Self {
        Self { folder: folder.to_path_buf(), keep }
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

    /// Writes a checkpoint: `fill` puts the weights into the folder that it is given. One of this step that is there stays:
    /// a run's state is a function of its step, and it may be the only one that is whole.
    pub(crate) fn write(
        &self,
        state: &State,
        fill: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let path = self.folder.join(format!("step-{}", state.step));
        let temporary = self.folder.join(format!("step-{}.tmp", state.step));
        let fault = |error: std::io::Error| TrainError::Checkpoint { path: path.clone(), message: error.to_string() };
        if path.exists() {
            return Ok(());
        }
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(fault)?;
        }
        fs::create_dir_all(&temporary).map_err(fault)?;
        let filled = fill(&temporary).and_then(|()| {
            let text = serde_json::to_vec(state).map_err(|error| fault(error.into()))?;
            fs::write(temporary.join(STATE), text).map_err(fault)?;
            settled(&temporary).map_err(fault)
        });
        if let Err(error) = filled {
            // What is half there takes room on a disk that may be full; the error is that of the write.
            let _ = fs::remove_dir_all(&temporary);
            return Err(error);
        }
        fs::rename(&temporary, &path).map_err(fault)?;
        let kept = self.kept(state);
        for (step, old) in self.steps() {
            if !kept.contains(&step) {
                fs::remove_dir_all(&old).map_err(fault)?;
            }
        }
        Ok(())
    }

    /// Steps of the checkpoints that stay.
    fn kept(&self, state: &State) -> Vec<usize> {
        let mut steps: Vec<usize> = self.steps().into_iter().map(|(step, _)| step).collect();
        steps.sort_unstable();
        // Losses of a resumed run are those of its checkpoint, so every step before this one has its loss here. All are
        // judged by as many of them, for those between two may have gone.
        let gaps = steps.windows(2).map(|two| two[1] - two[0]);
        let gap = gaps.min().unwrap_or(usize::MAX);
        let mean = |at: usize| {
            let losses = state.losses.get(steps[at].saturating_sub(gap)..steps[at]).unwrap_or_default();
            losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len().max(1) as f64
        };
        let known = (0..steps.len()).filter(|at| steps[*at] <= state.step);
        let best = known.min_by(|a, b| mean(*a).total_cmp(&mean(*b))).filter(|_| self.keep.best);
        let newest = steps.iter().rev().filter(|step| **step <= state.step).take(self.keep.older + 1);
        newest.copied().chain(best.map(|at| steps[at])).collect()
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

/// Makes sure that what was written is on the disk before its name says so.
fn settled(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::File::open(entry?.path())?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(step: usize) -> State {
        State {
            identity: "a".into(),
            watched: Vec::new(),
            step,
            steps: 10,
            scale: LossScale::default(),
            losses: vec![0.5; step],
            skipped: 0,
        }
    }

    #[test]
    fn a_whole_one_is_never_taken_away_for_another_of_its_step() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), Keep::default());
        let weights = |path: &Path| {
            fs::write(path.join("weights"), "w").unwrap();
            Ok(())
        };
        checkpoints.write(&state(2), weights).unwrap();
        let full = |_: &Path| Err(TrainError::Checkpoint { path: PathBuf::new(), message: "the disk is full".into() });
        checkpoints.write(&state(2), full).unwrap();
        let (path, found) = checkpoints.latest("a").unwrap().unwrap();
        assert_eq!((found.step, fs::read_to_string(path.join("weights")).unwrap()), (2, "w".to_owned()));
    }

    #[test]
    fn the_newest_whole_one_counts_and_older_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), Keep::default());
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
        let checkpoints = Checkpoints::new(folder.path(), Keep::default());
        checkpoints.write(&state(1), |_| Ok(())).unwrap();
        let failed = checkpoints.write(&state(2), |path| {
            fs::write(path.join("weights"), "half").unwrap();
            Err(TrainError::Model("full".into()))
        });
        assert!(failed.is_err() && !folder.path().join("step-2.tmp").exists());
        assert_eq!(checkpoints.latest("a").unwrap().unwrap().1.step, 1);
    }

    #[test]
    fn older_ones_and_the_best_stay_where_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), Keep { older: 1, best: true });
        let losses = [4.0, 4.0, 1.0, 1.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0];
        for step in [2, 4, 6, 8, 10] {
            let state = State { losses: losses[..step].to_vec(), ..state(step) };
            checkpoints.write(&state, |_| Ok(())).unwrap();
        }
        let mut steps: Vec<usize> = checkpoints.steps().into_iter().map(|(step, _)| step).collect();
        steps.sort_unstable();
        assert_eq!(steps, [4, 8, 10]);
        assert_eq!(checkpoints.latest("a").unwrap().unwrap().1.step, 10);
    }
}
