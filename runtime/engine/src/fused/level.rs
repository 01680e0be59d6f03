//! Which vector instructions this processor has, and running a kernel compiled for them.
//!
//! Every kernel gives the same bits at every level; the level is a speed. [`for_each_level`] has
//! the compiler vectorise one and the same source for each.

use std::sync::OnceLock;

/// A set of vector instructions, in ascending order of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the target has: SSE2, or NEON.
    Portable,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with VNNI: multiply pairs of 16-bit integers and accumulate in one instruction.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Level {
    /// The fastest level of this processor.
    pub(crate) fn fastest() -> Self {
        static FASTEST: OnceLock<Level> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable))
    }

    /// Every level of this processor, slowest first.
    pub(crate) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other targets have one level")]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if is_x86_feature_detected!("avx2") {
                levels.push(Self::Avx2);
            }
            if avx512 {
                levels.push(Self::Avx512);
            }
            if avx512 && is_x86_feature_detected!("avx512vnni") {
                levels.push(Self::Avx512Vnni);
            }
        }
        levels
    }
}

/// Defines a function, compiled once for each level, that calls `$body`; the first argument
/// chooses. What is to be vectorised must be inlined into the body: `#[inline(always)]`.
macro_rules! for_each_level {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?
            = $body:path;
    ) => {
        $(#[$attribute])*
        $visibility fn $name(
            level: $crate::fused::level::Level,
            $($argument: $type),*
        ) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                $body($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                $body($($argument),*)
            }
            match level {
                $crate::fused::level::Level::Portable => $body($($argument),*),
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code, reason = "the processor was asked whether it has AVX2")]
                $crate::fused::level::Level::Avx2 => {
                    // SAFETY: only `Level::available` makes a level, where the processor has it.
                    unsafe { avx2($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code, reason = "the processor was asked whether it has AVX-512")]
                $crate::fused::level::Level::Avx512 | $crate::fused::level::Level::Avx512Vnni => {
                    // SAFETY: only `Level::available` makes a level, where the processor has it.
                    unsafe { avx512($($argument),*) }
                }
            }
        }
    };
}
pub(crate) use for_each_level;
