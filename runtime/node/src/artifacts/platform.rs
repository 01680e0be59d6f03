//! The machines DataForge ships machine code for.

use serde::Deserialize;

/// An operating system with a processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[non_exhaustive]
pub enum Platform {
    /// Linux with glibc 2.28 or later on x86-64.
    #[serde(rename = "linux-x86_64")]
    LinuxX86_64,
    /// Linux with glibc 2.28 or later on 64-bit ARM.
    #[serde(rename = "linux-aarch64")]
    LinuxAarch64,
    /// macOS 14 or later on Apple silicon.
    #[serde(rename = "macos-arm64")]
    MacosArm64,
}

impl Platform {
    /// The platform this program was built for, if artifacts can be pinned for it.
    #[must_use]
    pub fn current() -> Option<Self> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Some(Self::LinuxX86_64),
            ("linux", "aarch64") => Some(Self::LinuxAarch64),
            ("macos", "aarch64") => Some(Self::MacosArm64),
            _ => None,
        }
    }
}

/// As written in `artifacts.lock`.
impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LinuxX86_64 => "linux-x86_64",
            Self::LinuxAarch64 => "linux-aarch64",
            Self::MacosArm64 => "macos-arm64",
        })
    }
}
