//! What the processes of a group do together.

use crate::GroupError;

/// Processes that work on one thing.
///
/// Every rank calls the same operations in the same order with as many values; a rank that does not is told from the
/// others, and the group ends. Operations of one group must not run at once on several threads of a rank.
pub trait Group: std::fmt::Debug + Send + Sync {
    /// This process, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn size(&self) -> usize;

    /// This process among those of its host, from 0: which of the host's devices is its own.
    fn local_rank(&self) -> usize {
        0
    }

    /// A rank as messages name it.
    fn name(&self, rank: usize) -> String {
        format!("rank {rank}")
    }

    /// Adds up the values of all ranks, place by place; every rank gets the same bits.
    ///
    /// # Errors
    /// The group has ended: see [`GroupError`]. The values are then of no use.
    fn sum(&self, values: &mut [f32]) -> Result<(), GroupError>;

    /// As [`Group::sum`], in double precision.
    ///
    /// # Errors
    /// As [`Group::sum`].
    fn sum_exact(&self, values: &mut [f64]) -> Result<(), GroupError>;

    /// What every rank has, by rank. Lengths may differ.
    ///
    /// # Errors
    /// As [`Group::sum`].
    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, GroupError>;

    /// What rank 0 has; what others give is not looked at.
    ///
    /// # Errors
    /// As [`Group::sum`].
    fn broadcast(&self, mine: &[u8]) -> Result<Vec<u8>, GroupError>;

    /// Ends the group on all ranks with a reason that names this one. What follows are errors.
    fn abort(&self, reason: &str, cancelled: bool) {
        let _ = (reason, cancelled);
    }

    /// Ends the group on all ranks with this error, unless it has ended; gives what it ended with.
    fn end(&self, error: GroupError) -> GroupError {
        error
    }

    /// Comes back when every rank has come here.
    ///
    /// # Errors
    /// As [`Group::sum`].
    fn barrier(&self) -> Result<(), GroupError> {
        self.gather(&[]).map(drop)
    }

    /// Holds that all ranks have the same, such as a checksum of what they learn from.
    ///
    /// # Errors
    /// Names the first rank that has something else than rank 0, and what both have; or as [`Group::sum`].
    fn agree(&self, what: &str, mine: &str, hint: &str) -> Result<(), GroupError> {
        let all = self.gather(mine.as_bytes())?;
        let differs = |(rank, one): (usize, &Vec<u8>)| (*one != all[0]).then_some(rank);
        let Some(rank) = all.iter().enumerate().find_map(differs) else { return Ok(()) };
        let text = |rank: usize| String::from_utf8_lossy(&all[rank]).into_owned();
        let message = format!("{} has {what} {}, {} has {}", self.name(rank), text(rank), self.name(0), text(0));
        Err(self.end(GroupError::new(message, hint)))
    }

    /// Numbers of every rank, by rank. Lengths may differ.
    ///
    /// # Errors
    /// As [`Group::sum`].
    fn gather_numbers(&self, mine: &[f32]) -> Result<Vec<Vec<f32>>, GroupError> {
        let bytes: Vec<u8> = mine.iter().flat_map(|value| value.to_le_bytes()).collect();
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(self.gather(&bytes)?.iter().map(|one| one.chunks_exact(4).map(number).collect()).collect())
    }
}

/// A process that works by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut [f32]) -> Result<(), GroupError> {
        Ok(())
    }

    fn sum_exact(&self, _: &mut [f64]) -> Result<(), GroupError> {
        Ok(())
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        Ok(vec![mine.to_vec()])
    }

    fn broadcast(&self, mine: &[u8]) -> Result<Vec<u8>, GroupError> {
        Ok(mine.to_vec())
    }
}
