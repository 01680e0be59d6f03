//! Compiled kernels kept between processes: compiling takes a second, loading milliseconds.
//!
//! What is kept is machine code and runs with all rights of the process, so it is loaded only with
//! a message authentication code (HMAC-SHA-256, RFC 2104) under a secret of this user. Without the
//! secret nobody can make the sandbox run code that it did not compile itself, and with it they are
//! the user.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::hash::{Hash, Hasher};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of a code.
const MAC_BYTES: usize = 32;

/// Where compiled kernels are kept.
pub trait CodeStore {
    /// Random bytes that this user alone can read; without them nothing is kept.
    fn secret(&self) -> Option<CodeSecret>;

    /// What was kept under a name.
    fn read(&self, name: &CodeName) -> Option<Vec<u8>>;

    /// Keeps bytes, if it can.
    fn keep(&self, name: &CodeName, bytes: &[u8]);
}

/// Of the length that HMAC-SHA-256 takes as it is: SHA-256's block.
pub type CodeSecret = [u8; 64];

/// What compiled code depends on: SHA-256 of the kernel and of the compiler with its settings.
pub type CodeName = [u8; 32];

/// A kernel from the store, or compiled and then kept.
pub(crate) fn component(
    engine: &Engine,
    store: Option<&dyn CodeStore>,
    wasm: &[u8],
) -> wasmtime::Result<Component> {
    let Some((store, secret)) = store.and_then(|store| Some((store, store.secret()?))) else {
        return Component::from_binary(engine, wasm);
    };
    let name = name(engine, wasm);
    if let Some(sealed) = store.read(&name)
        && let Some(code) = unseal(&secret, &name, &sealed)
        && let Some(component) = load(engine, code)
    {
        return Ok(component);
    }
    let component = Component::from_binary(engine, wasm)?;
    if let Ok(code) = component.serialize() {
        store.keep(&name, &[&mac(&secret, &name, &code)[..], &code].concat());
    }
    Ok(component)
}

fn name(engine: &Engine, wasm: &[u8]) -> CodeName {
    /// Hashes what wasmtime says of itself, its settings and the processor.
    struct Settings(Sha256);
    impl Hasher for Settings {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut settings = Settings(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    let settings = settings.0.finalize();
    Sha256::new().chain_update(settings).chain_update(Sha256::digest(wasm)).finalize().into()
}

fn mac(secret: &CodeSecret, name: &CodeName, code: &[u8]) -> [u8; MAC_BYTES] {
    authenticated(secret, name, code).finalize().into_bytes().into()
}

fn authenticated(secret: &CodeSecret, name: &CodeName, code: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new(secret.into()).chain_update(name).chain_update(code)
}

/// The code behind its authentication, if that is ours and of this name.
fn unseal<'s>(secret: &CodeSecret, name: &CodeName, sealed: &'s [u8]) -> Option<&'s [u8]> {
    let (mac, code) = sealed.split_first_chunk::<MAC_BYTES>()?;
    authenticated(secret, name, code).verify(mac.into()).ok()?;
    Some(code)
}

#[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
fn load(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: the code was authenticated, so `Component::serialize` gave it to `component` above.
    // Another version or configuration of wasmtime is refused by wasmtime itself.
    unsafe { Component::deserialize(engine, code) }.ok()
}
