//! `artifacts.lock`: what is pinned, parsed into types that need no second check.
//!
//! Reading it does no I/O. Package names, versions and platform tags end up in a file that pip
//! reads, so their alphabets are checked here: a hostile lock cannot smuggle an option to pip in.

use std::collections::BTreeSet;

use dataforge_core::hash::FileDigest;
use dataforge_core::units::Bytes;
use serde::Deserialize;

use super::{ArtifactError, Derivation, Platform};

/// The lock file itself: a hundred entries fit many times over. A larger one is refused.
pub const LOCK_BYTES_MAX: Bytes = Bytes(256 * 1024);

/// One artifact. It is held in memory while it is made and while it is read, so this bounds memory.
/// Room for the f32 weights of a model with a quarter of a billion parameters. A lock that pins
/// more is refused.
pub const ARTIFACT_BYTES_MAX: Bytes = Bytes(1024 * 1024 * 1024);

/// The version of the lock's format that this module reads.
const FORMAT_VERSION: u32 = 1;

/// `artifacts.lock` cannot be used. It is part of the program, so this is a bug in the project,
/// unless the caller parsed a lock of their own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It is larger than [`LOCK_BYTES_MAX`].
    #[error("artifacts.lock is larger than {} bytes", LOCK_BYTES_MAX.0)]
    TooLarge,
    /// It is not TOML of the expected shape.
    #[error("artifacts.lock: {0}")]
    Syntax(String),
    /// It is in another version of the format.
    #[error("artifacts.lock has format version {0}, this program reads {FORMAT_VERSION}")]
    Version(u32),
    /// An entry pins something that cannot be.
    #[error("artifacts.lock: {entry}: {reason}")]
    Entry {
        /// The artifact or package.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A package file to download: a zip, never installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wheel {
    /// The package and its version, as `name==version`.
    pub requirement: String,
    /// The platform tag to ask the index for; `None` for a wheel that fits every machine.
    pub pip_platform: Option<String>,
    /// SHA-256 of the wheel.
    pub digest: FileDigest,
    /// Size of the wheel, for progress.
    pub size: Bytes,
}

/// Where an artifact's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// One file inside a wheel.
    Member {
        /// The wheel.
        wheel: Wheel,
        /// The file's path in it.
        path: String,
    },
    /// Computed from another artifact.
    Derived {
        /// The other artifact, always a [`Source::Member`].
        from: String,
        /// The conversion.
        by: Derivation,
    },
}

/// One pinned file, on one platform or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name. Unique together with the platform.
    pub name: String,
    /// The machine it is for; `None` for every machine.
    pub platform: Option<Platform>,
    /// SHA-256 of the file. Also its name in the cache.
    pub digest: FileDigest,
    /// Exact size of the file.
    pub size: Bytes,
    /// Fetched only when asked for by name: large, and few need it.
    pub optional: bool,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Where it comes from.
    pub source: Source,
}

/// A checked `artifacts.lock`: names are unique per platform, derived artifacts have a source.
#[derive(Debug, Clone)]
pub struct ArtifactLock {
    artifacts: Vec<Artifact>,
}

impl ArtifactLock {
    /// The lock this program was built with.
    ///
    /// # Errors
    /// [`ArtifactError::BadLock`] if the committed file is faulty, which a test rules out.
    pub fn embedded() -> Result<Self, ArtifactError> {
        Ok(Self::parse(include_str!("../../../../artifacts.lock"))?)
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// [`LockError`] naming the entry and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if text.len() as u64 > LOCK_BYTES_MAX.0 {
            return Err(LockError::TooLarge);
        }
        let raw: RawLock =
            toml::from_str(text).map_err(|error| LockError::Syntax(error.to_string()))?;
        if raw.version != FORMAT_VERSION {
            return Err(LockError::Version(raw.version));
        }
        let mut artifacts = Vec::new();
        for wheel in raw.wheel {
            wheel.check_into(&mut artifacts)?;
        }
        for derived in raw.derived {
            let artifact = derived.check(&artifacts)?;
            artifacts.push(artifact);
        }
        check_unique(&artifacts)?;
        Ok(Self { artifacts })
    }

    /// The names, each once, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.artifacts
            .iter()
            .map(|artifact| artifact.name.as_str())
            .collect::<BTreeSet<_>>()
            .into_iter()
    }

    /// The artifact of that name for the machine this program runs on.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Artifact> {
        self.get_for(name, Platform::current())
    }

    /// The artifact of that name for a machine of `platform` (`None`: one that no artifact is
    /// built for).
    #[must_use]
    pub fn get_for(&self, name: &str, platform: Option<Platform>) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.name == name && artifact.fits(platform))
    }

    /// Every artifact of every platform, in the order of the file.
    pub fn all(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter()
    }
}

impl Artifact {
    /// Whether a machine of `platform` can use it.
    #[must_use]
    pub fn fits(&self, platform: Option<Platform>) -> bool {
        self.platform.is_none() || self.platform == platform
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    version: u32,
    #[serde(default)]
    wheel: Vec<RawWheel>,
    #[serde(default)]
    derived: Vec<RawDerived>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWheel {
    package: String,
    version: String,
    platform: Option<Platform>,
    pip_platform: Option<String>,
    #[serde(default)]
    optional: bool,
    sha256: FileDigest,
    bytes: u64,
    licence: String,
    member: Vec<RawMember>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: String,
    path: String,
    sha256: FileDigest,
    bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDerived {
    name: String,
    from: String,
    by: Derivation,
    sha256: FileDigest,
    bytes: u64,
}

impl RawWheel {
    fn check_into(self, artifacts: &mut Vec<Artifact>) -> Result<(), LockError> {
        let entry = || self.package.escape_debug().to_string();
        demand(is_word(&self.package, b"._-"), entry, "the package name is not one")?;
        demand(is_word(&self.version, b".+!_-"), entry, "the version is not one")?;
        let tag = self.pip_platform.as_deref();
        demand(tag.is_none_or(|tag| is_word(tag, b"._")), entry, "the platform tag is not one")?;
        demand(
            tag.is_some() == self.platform.is_some(),
            entry,
            "one platform field lacks the other",
        )?;
        demand(!self.member.is_empty(), entry, "the wheel has no member")?;
        let wheel = Wheel {
            requirement: format!("{}=={}", self.package, self.version),
            pip_platform: self.pip_platform,
            digest: self.sha256,
            size: Bytes(self.bytes),
        };
        for member in self.member {
            demand(
                is_member_path(&member.path),
                || member.name.clone(),
                "the member path is not one",
            )?;
            artifacts.push(Artifact {
                name: check_name(member.name)?,
                platform: self.platform,
                digest: member.sha256,
                size: Bytes(member.bytes),
                optional: self.optional,
                licence: self.licence.clone(),
                source: Source::Member { wheel: wheel.clone(), path: member.path },
            });
        }
        Ok(())
    }
}

impl RawDerived {
    fn check(self, members: &[Artifact]) -> Result<Artifact, LockError> {
        let name = check_name(self.name)?;
        let source = members.iter().find(|artifact| {
            artifact.name == self.from && matches!(artifact.source, Source::Member { .. })
        });
        let source = source.ok_or_else(|| LockError::Entry {
            entry: name.clone(),
            reason: "it is derived from nothing that a wheel holds",
        })?;
        // A conversion gives the same bytes everywhere, so its input has to be the same everywhere.
        demand(source.platform.is_none(), || name.clone(), "it is derived from machine code")?;
        Ok(Artifact {
            platform: None,
            digest: self.sha256,
            size: Bytes(self.bytes),
            optional: source.optional,
            licence: source.licence.clone(),
            source: Source::Derived { from: self.from, by: self.by },
            name,
        })
    }
}

fn check_unique(artifacts: &[Artifact]) -> Result<(), LockError> {
    for (index, artifact) in artifacts.iter().enumerate() {
        let entry = || artifact.name.clone();
        demand(
            artifact.size <= ARTIFACT_BYTES_MAX,
            entry,
            "it is larger than any artifact may be",
        )?;
        let clash = artifacts[..index].iter().any(|other| {
            other.name == artifact.name
                && (other.platform.is_none()
                    || artifact.platform.is_none()
                    || other.platform == artifact.platform)
        });
        demand(!clash, entry, "it is pinned twice for one platform")?;
    }
    Ok(())
}

fn check_name(name: String) -> Result<String, LockError> {
    let fine = is_word(&name, b"-") && name.bytes().all(|byte| !byte.is_ascii_uppercase());
    demand(
        fine,
        || name.escape_debug().to_string(),
        "a name is lower-case letters, digits, hyphens",
    )?;
    Ok(name)
}

/// Starts with a letter or digit, so that it can never be read as a command-line option.
fn is_word(text: &str, also: &[u8]) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
}

/// Only looked up in a zip's directory, never joined to a path; still, nothing but a plain path.
fn is_member_path(path: &str) -> bool {
    path.len() <= 512
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn demand(
    fine: bool,
    entry: impl FnOnce() -> String,
    reason: &'static str,
) -> Result<(), LockError> {
    if fine { Ok(()) } else { Err(LockError::Entry { entry: entry(), reason }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version = 1
[[wheel]]
package = "some-package"
version = "1.0"
platform = "linux-x86_64"
pip_platform = "manylinux_2_28_x86_64"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
bytes = 10
licence = "MIT"
[[wheel.member]]
name = "thing"
path = "some/thing.bin"
sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
bytes = 20
"#;

    /// Changes the good lock in one place and expects a refusal that says so.
    fn refused(from: &str, to: &str, message: &str) {
        assert!(GOOD.contains(from), "{from:?} is not in the lock");
        let error = ArtifactLock::parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} lacks {message:?}");
    }

    #[test]
    fn the_embedded_lock_is_usable_on_every_platform() {
        let lock = ArtifactLock::embedded().unwrap();
        for platform in [Platform::LinuxX86_64, Platform::LinuxAarch64, Platform::MacosArm64] {
            for Artifact { name, .. } in lock.all().filter(|artifact| !artifact.optional) {
                assert!(lock.get_for(name, Some(platform)).is_some(), "{name} on {platform}");
            }
        }
    }

    #[test]
    fn a_lookup_respects_the_platform() {
        let lock = ArtifactLock::parse(GOOD).unwrap();
        assert_eq!(lock.names().collect::<Vec<_>>(), ["thing"]);
        assert!(lock.get_for("thing", Some(Platform::LinuxX86_64)).is_some());
        assert!(lock.get_for("thing", Some(Platform::MacosArm64)).is_none());
        assert!(lock.get_for("thing", None).is_none());
    }

    #[test]
    fn options_cannot_be_smuggled_to_pip() {
        refused("some-package", "--index-url=x", "package name");
        refused("some-package", r"a\n--index-url x", "package name");
        refused(r#""1.0""#, r#""1.0 --pre""#, "version");
        refused("manylinux_2_28_x86_64", "-d/tmp", "platform tag");
    }

    #[test]
    fn hostile_names_and_paths_are_refused() {
        refused(r#""thing""#, r#""../thing""#, "lower-case");
        refused(r#""thing""#, r#""""#, "lower-case");
        refused("some/thing.bin", "../thing.bin", "member path");
        refused("some/thing.bin", "/etc/passwd", "member path");
        refused("some/thing.bin", r"some\\thing", "member path");
    }

    #[test]
    fn faulty_pins_are_refused() {
        refused("bytes = 20", "bytes = 999999999999", "larger than any");
        refused("bytes = 20", "bytes = -1", "artifacts.lock");
        refused("sha256 = \"aaaa", "sha256 = \"zzzz", "64 hexadecimal");
        refused("linux-x86_64", "beos", "beos");
        refused("platform = \"linux-x86_64\"", "", "lacks the other");
        refused("version = 1\n", "version = 2\n", "format version 2");
        refused("licence", "surprise", "surprise");
    }

    #[test]
    fn clashes_and_orphans_are_refused() {
        let member = GOOD.split_once("[[wheel.member]]").unwrap().1;
        let twice = format!("{GOOD}[[wheel.member]]{member}");
        let error = ArtifactLock::parse(&twice).unwrap_err();
        assert!(error.to_string().contains("pinned twice"), "{error}");

        let derived = format!(
            "{GOOD}[[derived]]\nname = \"made\"\nfrom = \"nothing\"\n\
             by = \"glassllm-tokenizer-v1\"\nsha256 = \"{}\"\nbytes = 1\n",
            "c".repeat(64)
        );
        let error = ArtifactLock::parse(&derived).unwrap_err();
        assert!(error.to_string().contains("derived from nothing"), "{error}");
        let error = ArtifactLock::parse(&derived.replace("nothing", "thing")).unwrap_err();
        assert!(error.to_string().contains("machine code"), "{error}");
    }

    #[test]
    fn an_oversized_lock_is_refused_before_parsing() {
        let text = "#".repeat(LOCK_BYTES_MAX.0 as usize + 1);
        assert_eq!(ArtifactLock::parse(&text).unwrap_err(), LockError::TooLarge);
    }
}
