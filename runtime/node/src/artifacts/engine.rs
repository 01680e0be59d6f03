//! ONNX Runtime's library for each provider: one file, or several that look for one another by
//! name.

use std::fs;
use std::path::{Path, PathBuf};

use dataforge_evaluate::Provider;

use super::cache::LIBRARY;
use super::{ArtifactError, Artifacts, Source};
use crate::fs::{FileError, create_folder};

/// The library and what it opens from its own folder when CUDA is asked for. Licensed as the
/// library; CUDA itself and cuDNN come with the machine.
const CUDA: [&str; 3] =
    ["onnxruntime-cuda", "onnxruntime-cuda-providers-shared", "onnxruntime-cuda-provider"];

impl Artifacts {
    /// The artifacts that the engine's library for `provider` consists of.
    #[must_use]
    pub fn engine_parts(&self, provider: Provider) -> &'static [&'static str] {
        match provider {
            Provider::Cuda if !self.has_own_library() => &CUDA,
            Provider::Cpu | Provider::Cuda => &[LIBRARY],
        }
    }

    /// The engine's library for `provider`, verified in this call with all its parts. Never
    /// fetches.
    ///
    /// # Errors
    /// As [`Artifacts::path`], or a file error.
    pub fn engine_library(&self, provider: Provider) -> Result<PathBuf, ArtifactError> {
        match self.engine_parts(provider) {
            [library] => self.path(library),
            parts => self.side_by_side(parts),
        }
    }

    /// Links objects into a folder under the names that they have in their wheel; gives the path of
    /// the first.
    pub(super) fn side_by_side(&self, names: &[&str]) -> Result<PathBuf, ArtifactError> {
        let mut paths = Vec::new();
        for name in names {
            let object = self.path(name)?;
            let artifact = self.pinned(name)?;
            let Source::Member { wheel, path } = &artifact.source else {
                unreachable!("the parts of a library are members of its wheel")
            };
            let folder = self.home().join("libraries").join(wheel.digest.to_string());
            create_folder(&folder)?;
            let file = path.rsplit('/').next().unwrap_or(path);
            let link = folder.join(file);
            link_anew(&object, &link)?;
            paths.push(link);
        }
        Ok(paths.swap_remove(0))
    }
}

/// Makes `link` another name of `object`, whatever it was before, and never absent in between.
fn link_anew(object: &Path, link: &Path) -> Result<(), FileError> {
    let fresh = link.with_added_extension(format!("partial-{}", std::process::id()));
    fs::hard_link(object, &fresh).map_err(FileError::io("link", &fresh))?;
    fs::rename(&fresh, link).map_err(FileError::io("rename", &fresh))?;
    // A rename between two names of one file does nothing, and leaves both.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::io("remove", &fresh)(error))
        }
        _ => Ok(()),
    }
}
