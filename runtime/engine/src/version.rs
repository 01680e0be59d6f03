//! The version that the loaded library says it is.

use libloading::Library;
use std::ffi::CStr;
use std::path::Path;

/// Asks the library at `path`, which is loaded already, for its version.
#[expect(unsafe_code, reason = "ort has no safe call for this")]
pub(crate) fn version(path: &Path) -> Option<String> {
    // SAFETY: the library is ONNX Runtime and is already loaded: ort has checked both, so no
    // initialiser runs here, and the symbol has the type that its C header gives it.
    unsafe {
        let library = Library::new(path).ok()?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .ok()?();
        let text = ((*base).GetVersionString)();
        Some(CStr::from_ptr(text).to_str().ok()?.to_owned())
    }
}
