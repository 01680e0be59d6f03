//! `spec.lock`, and a spec together with the lock that pins what it names.

use super::{Spec, SpecError};
use crate::codec;
use crate::hash::{FileDigest, SpecId, tagged};
use crate::limits::SPEC_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `spec.lock`: the SHA-256 of everything a spec names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecLock {
    /// Files beside the spec, by name.
    pub files: BTreeMap<String, FileDigest>,
    /// Kernels, by name.
    pub kernels: BTreeMap<String, FileDigest>,
    /// Artifacts, by name in `artifacts.lock`.
    pub artifacts: BTreeMap<String, FileDigest>,
}

impl SpecLock {
    /// Parses `spec.lock`.
    ///
    /// # Errors
    /// [`SpecError::TooLarge`] or [`SpecError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() as u64 > SPEC_BYTES_MAX.0 {
            return Err(SpecError::TooLarge);
        }
        toml::from_str(text).map_err(|e| SpecError::Syntax(format!("spec.lock: {e}")))
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`SpecError::Syntax`] if TOML cannot express it, which is our bug.
    pub fn to_toml(&self) -> Result<String, SpecError> {
        toml::to_string(self).map_err(|e| SpecError::Syntax(e.to_string()))
    }
}

/// A spec whose lock pins exactly what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedSpec {
    spec: Spec,
    lock: SpecLock,
    id: SpecId,
}

impl PinnedSpec {
    /// Joins a spec and its lock.
    ///
    /// # Errors
    /// [`SpecError::Lock`] when the lock lacks something or pins something that the spec does not
    /// name.
    pub fn new(spec: Spec, lock: SpecLock) -> Result<Self, SpecError> {
        same_names("file", lock.files.keys(), spec.files())?;
        same_names("kernel", lock.kernels.keys(), spec.kernels())?;
        same_names(
            "artifact",
            lock.artifacts.keys(),
            [&spec.model.weights, &spec.model.tokenizer],
        )?;
        let id = tagged("dataforge/spec/v1", &codec::encode(&(&spec, &lock)));
        Ok(Self { spec, lock, id })
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> &SpecLock {
        &self.lock
    }

    /// Byte format: tag `dataforge/spec/v1` over the canonical encoding of spec and lock.
    #[must_use]
    pub fn id(&self) -> SpecId {
        self.id
    }
}

fn same_names<'a>(
    kind: &str,
    pinned: impl Iterator<Item = &'a String>,
    named: impl IntoIterator<Item = &'a String>,
) -> Result<(), SpecError> {
    let pinned: BTreeSet<_> = pinned.collect();
    let named: BTreeSet<_> = named.into_iter().collect();
    if let Some(missing) = named.difference(&pinned).next() {
        return Err(SpecError::Lock(format!("{kind} {missing:?} is not pinned")));
    }
    match pinned.difference(&named).next() {
        Some(extra) => Err(SpecError::Lock(format!(
            "{kind} {extra:?} is pinned, but the spec does not name it"
        ))),
        None => Ok(()),
    }
}
