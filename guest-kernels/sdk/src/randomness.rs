//! Randomness for guests: there is none.
//!
//! Hash maps in the dependencies ask the `getrandom` crate for a seed. A kernel is a pure function
//! of its arguments, so the seed is a constant. `cargo xtask kernels` selects this backend with
//! `--cfg getrandom_backend="custom"`; the crate's default for this target would import functions
//! from a JavaScript host and so make the component unloadable.

use getrandom_03::Error;

/// A bit pattern without structure (the fraction of pi), repeated as often as needed.
const SEED: [u8; 8] = 0x243f_6a88_85a3_08d3_u64.to_le_bytes();

/// The function that `getrandom` 0.3 links against when its backend is `custom`.
///
/// # Safety
///
/// `dest` must be valid for writes of `len` bytes, which `getrandom` guarantees.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), Error> {
    for index in 0..len {
        // SAFETY: `index < len`, and the caller vouches for `len` bytes at `dest`.
        unsafe { dest.add(index).write(SEED[index % SEED.len()]) };
    }
    Ok(())
}
