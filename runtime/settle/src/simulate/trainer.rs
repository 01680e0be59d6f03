//! Datasets and scores that are not assumed: rows that are written, and training on them.

use dataforge_core::hash::{DatasetDigest, EpochSeed};
use dataforge_core::units::Ppm;

use crate::{Comparison, Score};

/// Why a trainer gave nothing: it knows the reason itself, and whoever made it asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Makes and evaluates the datasets of a scenario with [`super::Training`]. The same calls give the
/// same answers on every machine.
pub trait Trainer {
    /// A dataset of rows of which the share `right` have the right outputs. Every name and share
    /// has rows of its own, and the same ones whenever it is asked for again.
    ///
    /// # Errors
    /// [`Failed`], as all of these.
    fn make(&mut self, name: EpochSeed, right: Ppm) -> Result<DatasetDigest, Failed>;

    /// The rows of a dataset in another order, and not in that of another `number`. There are more
    /// rows than numbers.
    fn reorder(&mut self, of: DatasetDigest, number: u32) -> Result<DatasetDigest, Failed>;

    /// Every row of a dataset whose place leaves the remainder `number` when divided by `parts`.
    fn part(&mut self, of: DatasetDigest, number: u32, parts: u32)
    -> Result<DatasetDigest, Failed>;

    /// What an honest evaluation finds, by the last of these seeds. By the others rows of the same
    /// benchmark were drawn in earlier epochs, and revealed.
    fn evaluate(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed>;

    /// What evaluating it once more finds.
    fn replay(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed>;

    /// How much of each dataset is in those before it.
    fn compare(&mut self, datasets: &[DatasetDigest]) -> Result<Vec<Comparison>, Failed>;
}
