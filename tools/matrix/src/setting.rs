//! The settings of the matrix: one base, and what is varied around it.
//!
//! Not the full product, which would take days: each setting changes one thing, and a few change
//! two that might hide each other.

use clap::ValueEnum;

/// How far an engine may rewrite a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    None,
    Basic,
    All,
}

/// What runs the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `ort` in a process of its own.
    Native,
    /// The same program on an emulated x86-64 CPU, by QEMU's name of it.
    Emulated(&'static str),
    /// ONNX Runtime's Python package on an emulated aarch64 CPU.
    Aarch64(&'static str),
    /// onnx.reference: every operator by NumPy.
    OnnxReference,
    /// The graph crate's own interpreter, which knows nothing of ONNX.
    Interpreter,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) runner: Runner,
    /// Version of ONNX Runtime, where the runner uses one.
    pub(crate) engine: &'static str,
    pub(crate) threads: usize,
    pub(crate) level: Level,
    /// Name of one of [`crate::cases::LOWERINGS`].
    pub(crate) lowering: &'static str,
    /// Whether `--quick` runs it.
    pub(crate) quick: bool,
    /// Whether it runs the cases that `--quick` leaves out; an emulator takes minutes for each.
    pub(crate) large: bool,
}

/// The version that `artifacts.lock` pins. Its answers must be right; another version may be
/// refused by the known-answer test.
pub(crate) const PINNED: &str = "1.31.1";

/// What evaluations use, on one thread.
const BASE: Setting = Setting {
    name: "base",
    runner: Runner::Native,
    engine: PINNED,
    threads: 1,
    level: Level::None,
    lowering: "stock",
    quick: true,
    large: true,
};

/// Varied around the base, and not part of the quick matrix.
const FULL: Setting = Setting { quick: false, ..BASE };

/// As [`FULL`], with small cases only: two changes at once, or a second emulator of a kind.
const SMALL: Setting = Setting { large: false, ..FULL };

/// The base comes first.
pub(crate) const SETTINGS: &[Setting] = &[
    BASE,
    Setting { name: "2 threads", threads: 2, ..BASE },
    Setting { name: "4 threads", threads: 4, ..BASE },
    Setting { name: "optimisation basic", level: Level::Basic, ..BASE },
    Setting { name: "optimisation all", level: Level::All, ..BASE },
    Setting { name: "optimisation all, 4 threads", level: Level::All, threads: 4, ..FULL },
    Setting { name: "Nehalem (SSE4)", runner: Runner::Emulated("Nehalem"), ..BASE },
    Setting {
        name: "Nehalem (SSE4), optimisation all, 2 threads",
        runner: Runner::Emulated("Nehalem"),
        level: Level::All,
        threads: 2,
        ..SMALL
    },
    Setting { name: "Haswell (AVX2)", runner: Runner::Emulated("Haswell"), ..FULL },
    Setting {
        name: "Haswell (AVX2), optimisation all",
        runner: Runner::Emulated("Haswell"),
        level: Level::All,
        ..SMALL
    },
    Setting { name: "1.32.0", engine: "1.32.0", ..FULL },
    Setting { name: "1.30.0", engine: "1.30.0", ..FULL },
    Setting { name: "1.28.0", engine: "1.28.0", ..FULL },
    Setting { name: "1.26.0", engine: "1.26.0", ..FULL },
    Setting { name: "1.24.4", engine: "1.24.4", ..BASE },
    Setting {
        // At level all, 1.24.4 fuses f64 products into an operator that it has for f32 alone.
        name: "1.24.4, optimisation basic, 4 threads",
        engine: "1.24.4",
        level: Level::Basic,
        threads: 4,
        ..SMALL
    },
    Setting { name: "fused", lowering: "fused", ..BASE },
    Setting { name: "fused, 4 threads", lowering: "fused", threads: 4, ..FULL },
    Setting {
        name: "fused, Nehalem (SSE4)",
        lowering: "fused",
        runner: Runner::Emulated("Nehalem"),
        ..SMALL
    },
    Setting {
        name: "fused, Haswell (AVX2)",
        lowering: "fused",
        runner: Runner::Emulated("Haswell"),
        ..FULL
    },
    Setting { name: "fused, 1.24.4", lowering: "fused", engine: "1.24.4", ..FULL },
    Setting { name: "int8 slices", lowering: "slices", ..BASE },
    Setting {
        name: "int8 slices, Nehalem (SSE4)",
        lowering: "slices",
        runner: Runner::Emulated("Nehalem"),
        ..SMALL
    },
    Setting {
        name: "int8 slices, Haswell (AVX2)",
        lowering: "slices",
        runner: Runner::Emulated("Haswell"),
        ..SMALL
    },
    Setting { name: "int8 slices, 1.24.4", lowering: "slices", engine: "1.24.4", ..FULL },
    Setting {
        name: "int8 slices, aarch64",
        lowering: "slices",
        runner: Runner::Aarch64("neoverse-n1"),
        ..SMALL
    },
    Setting {
        name: "int8 slices, onnx.reference",
        lowering: "slices",
        runner: Runner::OnnxReference,
        engine: "",
        ..FULL
    },
    Setting { name: "signed int8 slices", lowering: "signed-slices", ..FULL },
    Setting { name: "square roots in f64", lowering: "wide-sqrt", ..BASE },
    Setting { name: "1.20.1", engine: "1.20.1", ..FULL },
    Setting {
        name: "1.20.1, square roots in f64",
        engine: "1.20.1",
        lowering: "wide-sqrt",
        ..FULL
    },
    Setting {
        name: "1.20.1, Nehalem (SSE4)",
        engine: "1.20.1",
        runner: Runner::Emulated("Nehalem"),
        ..SMALL
    },
    Setting { name: "aarch64", runner: Runner::Aarch64("neoverse-n1"), ..FULL },
    Setting {
        name: "aarch64, optimisation all, 2 threads",
        runner: Runner::Aarch64("neoverse-n1"),
        level: Level::All,
        threads: 2,
        ..SMALL
    },
    Setting { name: "aarch64 with SVE", runner: Runner::Aarch64("a64fx"), ..SMALL },
    Setting {
        name: "aarch64, 1.24.4",
        runner: Runner::Aarch64("neoverse-n1"),
        engine: "1.24.4",
        ..SMALL
    },
    Setting {
        name: "aarch64, 1.20.1",
        runner: Runner::Aarch64("neoverse-n1"),
        engine: "1.20.1",
        ..SMALL
    },
    Setting { name: "onnx.reference", runner: Runner::OnnxReference, engine: "", ..BASE },
    Setting { name: "interpreter", runner: Runner::Interpreter, engine: "", ..FULL },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::LOWERINGS;
    use dataforge_graph::onnx::Lowering;
    use std::collections::BTreeSet;

    #[test]
    fn settings_differ_from_the_base_and_from_each_other() {
        let key = |s: &Setting| format!("{:?}", Setting { name: "", quick: true, ..*s });
        let keys: BTreeSet<String> = SETTINGS.iter().map(key).collect();
        let names: BTreeSet<&str> = SETTINGS.iter().map(|s| s.name).collect();
        assert_eq!((keys.len(), names.len()), (SETTINGS.len(), SETTINGS.len()));
        assert_eq!(key(&SETTINGS[0]), key(&BASE));
    }

    #[test]
    fn every_exact_lowering_has_a_setting() {
        let used: BTreeSet<&str> = SETTINGS.iter().map(|s| s.lowering).collect();
        let known: BTreeSet<&str> = LOWERINGS.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, known);
        for lowering in Lowering::ALL.into_iter().filter(|lowering| lowering.is_exact()) {
            assert!(known.contains(lowering.to_string().as_str()), "{lowering}");
        }
    }
}
