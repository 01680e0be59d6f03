//! What every guest kernel shares: bindings to `wit/`, fixed randomness, bounded messages.
//!
//! A kernel is one type that implements the `Guest` trait of its world:
//!
//! ```ignore
//! dataforge_kernel_sdk::kernel!("tokenizer" in "../../wit/1.0.0");
//! struct Kernel;
//! impl bindings::exports::dataforge::kernel::tokens::Guest for Kernel { /* ... */ }
//! bindings::export!(Kernel with_types_in bindings);
//! ```
//!
//! This crate does no checking of its own: limits of memory, fuel and size belong to the host,
//! which trusts no guest.

mod message;
mod randomness;

pub use message::{MESSAGE_BYTES_MAX, bounded};
#[doc(hidden)]
pub use wit_bindgen;

/// Generates the private module `bindings` for one world of a version of `wit/`.
///
/// It is expanded inside the kernel's crate and not in the SDK, because the bindings leave a
/// section in the module that names the world, and a kernel must name exactly one.
#[macro_export]
macro_rules! kernel {
    ($world:literal in $wit:literal) => {
        #[allow(missing_docs, reason = "generated; documented in the WIT file")]
        mod bindings {
            $crate::wit_bindgen::generate!({
                world: $world,
                path: $wit,
                runtime_path: "dataforge_kernel_sdk::wit_bindgen::rt",
            });
        }
    };
}
