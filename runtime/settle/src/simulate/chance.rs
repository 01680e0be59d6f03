//! Chance in integers: draws by name, normal noise, and a bootstrap of a ratio.

use dataforge_core::hash::{EpochSeed, Hasher};
use dataforge_core::random::SeedStream;
use dataforge_core::units::{MicroNats, Ppm};

use crate::amount::WHOLE;

/// Where the chance of one run comes from. What has another name is independent, so that an attack
/// and its honest counterpart meet the same luck wherever they do the same.
#[derive(Clone, Copy)]
pub(super) struct Luck(EpochSeed);

impl Luck {
    pub(super) fn of(seed: &EpochSeed, name: &str) -> Self {
        let mut hasher = Hasher::new("dataforge/simulate/luck/v1");
        hasher.update(seed.0).update(name);
        Self(hasher.finish())
    }

    pub(super) fn seed(self, name: &str) -> EpochSeed {
        Self::of(&self.0, name).0
    }

    pub(super) fn stream(self, name: &str) -> SeedStream {
        SeedStream::new(&self.0, name)
    }

    pub(super) fn hits(self, name: &str, chance: Ppm) -> bool {
        self.stream(name).below(WHOLE) < u64::from(chance.0)
    }
}

/// A draw of mean 0 and a standard deviation, near enough to normal: the sum of twelve uniform
/// numbers, whose variance is one (Knuth, TAOCP 3.4.1). It is never beyond six deviations.
pub(super) fn normal(stream: &mut SeedStream, deviation: MicroNats) -> MicroNats {
    let sum = (0..12).fold(0u64, |sum, _| sum.saturating_add(stream.below(WHOLE.wrapping_add(1))));
    let millionths = i128::from(sum).saturating_sub(6_000_000);
    let noise = millionths.saturating_mul(deviation.0.into()).checked_div(1_000_000).unwrap_or(0);
    MicroNats(i64::try_from(noise).unwrap_or(0))
}

/// A ratio in parts per million, with the bounds of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) ppm: i64,
    pub(super) low: i64,
    pub(super) high: i64,
}

/// Resamples of a bootstrap, and those below and above the interval.
const RESAMPLES: usize = 1_000;
const OUTSIDE: usize = 25;

/// What is gained over `base`, as the ratio of sums over pairs (gain, base), with the percentile
/// interval of a bootstrap over pairs (Efron and Tibshirani, 1993, section 13.3). A base that is
/// nothing or a loss counts by its magnitude, of at least one unit.
pub(super) fn ratio(pairs: &[(i128, i128)], stream: &mut SeedStream) -> Ratio {
    let of = |sum: (i128, i128)| {
        let (gain, base) = sum;
        let ppm = gain.saturating_mul(WHOLE.into()).checked_div(base.abs().max(1)).unwrap_or(0);
        i64::try_from(ppm).unwrap_or(if ppm < 0 { i64::MIN } else { i64::MAX })
    };
    let add = |sum: (i128, i128), pair: &(i128, i128)| {
        (sum.0.saturating_add(pair.0), sum.1.saturating_add(pair.1))
    };
    let ppm = of(pairs.iter().fold((0, 0), add));
    let mut resampled: Vec<i64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = pairs.iter().filter_map(|_| pairs.get(stream.index(pairs.len())));
            of(drawn.fold((0, 0), add))
        })
        .collect();
    resampled.sort_unstable();
    let at = |place: usize| resampled.get(place).copied().unwrap_or(ppm);
    let top = RESAMPLES.saturating_sub(OUTSIDE).saturating_sub(1);
    Ratio { ppm, low: at(OUTSIDE), high: at(top) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_mean_and_deviation_asked_for() {
        let mut stream = SeedStream::new(&EpochSeed([3; 32]), "noise");
        let draws: Vec<i64> =
            (0..4_000).map(|_| normal(&mut stream, MicroNats(100_000)).0).collect();
        let mean = draws.iter().sum::<i64>() / 4_000;
        let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<i64>() / 4_000;
        assert!(mean.abs() < 5_000, "{mean}");
        assert!((9_300_000_000..10_700_000_000).contains(&variance), "{variance}");
    }

    #[test]
    fn an_interval_holds_its_ratio() {
        let pairs: Vec<_> = (0..20).map(|n| (i128::from(n % 5) * 10, 100)).collect();
        let found = ratio(&pairs, &mut SeedStream::new(&EpochSeed([3; 32]), "ratio"));
        assert_eq!(found.ppm, 200_000);
        assert!(found.low < 200_000 && found.high > 200_000 && found.low > 100_000);
        // A loss that grows is worse, though its base is negative.
        let loss = ratio(&[(-50, -100)], &mut SeedStream::new(&EpochSeed([3; 32]), "ratio"));
        assert_eq!((loss.ppm, loss.low, loss.high), (-500_000, -500_000, -500_000));
    }
}
