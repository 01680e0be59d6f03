//! The innermost kernel of a product: one tile of sums of products of 16-bit integers.
//!
//! Operands are pairs of 16-bit integers in the halves of an `i32`, the earlier term low. A tile is
//! [`ROWS`] × [`COLUMNS`] sums in `i32`, modulo 2³²: the caller keeps the true sums within an
//! `i32`. This and `level` are the only modules with unsafe code.

use super::level::Level;

/// Rows of a tile.
pub(crate) const ROWS: usize = 8;
/// Columns of a tile, and of a panel.
pub(crate) const COLUMNS: usize = 32;

/// A tile of sums.
pub(crate) type Tile = [[i32; COLUMNS]; ROWS];

/// Where the rows of the left operand are: pair p of row i is at `i · row + p · pair`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    pub(crate) row: usize,
    pub(crate) pair: usize,
}

/// `tile[i][j] = Σ_p a(i, p) · b(p, j)` over `pairs`, where · sums the two products of a pair, and
/// b is a panel: pair p of column j is at `p · COLUMNS + j`.
///
/// # Panics
/// When an operand is too short: our bug.
#[inline]
pub(crate) fn multiply(
    level: Level,
    a: &[i32],
    strides: Strides,
    b: &[i32],
    pairs: usize,
    tile: &mut Tile,
) {
    let a_needed = (ROWS - 1) * strides.row + pairs.saturating_sub(1) * strides.pair + 1;
    assert!(pairs > 0 && a.len() >= a_needed && b.len() >= pairs * COLUMNS, "operands too short");
    match level {
        Level::Portable => portable(a, strides, b, pairs, tile),
        #[cfg(target_arch = "x86_64")]
        #[allow(
            unsafe_code,
            reason = "vector instructions that the compiler does not choose itself"
        )]
        // SAFETY: the processor has the level's instructions, for only `Level::available` makes a
        // level; both operands are long enough by the assertion above.
        _ => unsafe {
            match level {
                Level::Avx512Vnni => x86::vnni(a, strides, b, pairs, tile),
                Level::Avx512 => x86::avx512(a, strides, b, pairs, tile),
                _ => x86::avx2(a, strides, b, pairs, tile),
            }
        },
    }
}

/// The two halves of a pair.
#[inline(always)]
fn halves(pair: i32) -> (i32, i32) {
    (i32::from(pair as i16), pair >> 16)
}

fn portable(a: &[i32], strides: Strides, b: &[i32], pairs: usize, tile: &mut Tile) {
    *tile = [[0; COLUMNS]; ROWS];
    for (p, columns) in b.chunks_exact(COLUMNS).take(pairs).enumerate() {
        for (i, sums) in tile.iter_mut().enumerate() {
            let (a0, a1) = halves(a[i * strides.row + p * strides.pair]);
            for (sum, pair) in sums.iter_mut().zip(columns) {
                let (b0, b1) = halves(*pair);
                *sum = sum.wrapping_add((a0 * b0).wrapping_add(a1 * b1));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "raw loads and stores; the caller has checked every bound")]
mod x86 {
    use super::{COLUMNS, ROWS, Strides, Tile};
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_dpwssd_epi32,
        _mm512_loadu_si512, _mm512_madd_epi16, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };

    /// All of a tile stays in 16 registers of 16 sums.
    macro_rules! wide {
        ($name:ident, $features:literal, $step:expr) => {
            /// # Safety
            /// `a` and `b` hold what the parent's `multiply` asserts.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(
                a: &[i32],
                strides: Strides,
                b: &[i32],
                pairs: usize,
                tile: &mut Tile,
            ) {
                let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
                let rows: [*const i32; ROWS] =
                    // SAFETY: row i starts within `a`.
                    std::array::from_fn(|i| unsafe { a.as_ptr().add(i * strides.row) });
                let mut columns = b.as_ptr();
                for p in 0..pairs {
                    // SAFETY: pair p of every row is within `a`, and all of pair p within `b`.
                    unsafe {
                        let left = _mm512_loadu_si512(columns.cast());
                        let right = _mm512_loadu_si512(columns.add(16).cast());
                        columns = columns.add(COLUMNS);
                        for i in 0..ROWS {
                            let x = _mm512_set1_epi32(*rows[i].add(p * strides.pair));
                            sums[i][0] = $step(sums[i][0], x, left);
                            sums[i][1] = $step(sums[i][1], x, right);
                        }
                    }
                }
                for (row, [left, right]) in tile.iter_mut().zip(sums) {
                    // SAFETY: a row of the tile has room for 32 sums.
                    unsafe {
                        _mm512_storeu_si512(row.as_mut_ptr().cast(), left);
                        _mm512_storeu_si512(row.as_mut_ptr().add(16).cast(), right);
                    }
                }
            }
        };
    }

    wide!(vnni, "avx512f,avx512bw,avx512vnni", |s, x, y| _mm512_dpwssd_epi32(s, x, y));
    wide!(avx512, "avx512f,avx512bw", |s, x, y| _mm512_add_epi32(s, _mm512_madd_epi16(x, y)));

    /// A quarter of a tile's columns and half of its rows at a time: 8 registers of 8 sums.
    ///
    /// # Safety
    /// `a` and `b` hold what the parent's `multiply` asserts.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(
        a: &[i32],
        strides: Strides,
        b: &[i32],
        pairs: usize,
        tile: &mut Tile,
    ) {
        const HALF: usize = ROWS / 2;
        for top in [0, HALF] {
            for first in [0, 16] {
                let mut sums = [[_mm256_setzero_si256(); 2]; HALF];
                for p in 0..pairs {
                    // SAFETY: pair p of every row is within `a`, and all of pair p within `b`.
                    unsafe {
                        let columns = b.as_ptr().add(p * COLUMNS + first);
                        let left = _mm256_loadu_si256(columns.cast::<__m256i>());
                        let right = _mm256_loadu_si256(columns.add(8).cast::<__m256i>());
                        for (i, [to_left, to_right]) in sums.iter_mut().enumerate() {
                            let at = (top + i) * strides.row + p * strides.pair;
                            let x = _mm256_set1_epi32(*a.as_ptr().add(at));
                            *to_left = _mm256_add_epi32(*to_left, _mm256_madd_epi16(x, left));
                            *to_right = _mm256_add_epi32(*to_right, _mm256_madd_epi16(x, right));
                        }
                    }
                }
                for (row, [left, right]) in tile[top..].iter_mut().zip(sums) {
                    // SAFETY: 16 sums from `first` are within a row of the tile.
                    unsafe {
                        let to = row.as_mut_ptr().add(first);
                        _mm256_storeu_si256(to.cast::<__m256i>(), left);
                        _mm256_storeu_si256(to.add(8).cast::<__m256i>(), right);
                    }
                }
            }
        }
    }
}
