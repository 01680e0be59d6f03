//! Compiled kernels kept between processes: compiling takes a second, loading milliseconds.
//!
//! What is kept is machine code and runs with all rights of the process, so it is loaded only with
//! a message authentication code (BLAKE3 with a key, the specification's section 2.1) under a
//! secret of this user. Without the secret nobody can make the sandbox run code that it did not
//! compile itself, and with it they are the user. What others see is hashed by SHA-256; nobody else
//! sees this, and megabytes of it are hashed each time a process starts.

use std::hash::{Hash, Hasher};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::{Refusal, shape};

/// Bytes of an authentication code.
const MAC_BYTES: usize = blake3::OUT_LEN;

/// Where compiled kernels are kept.
pub trait CodeStore {
    /// Random bytes that this user alone can read; without them nothing is kept.
    fn secret(&self) -> Option<CodeSecret>;

    /// What was kept under a name.
    fn read(&self, name: &CodeName) -> Option<Vec<u8>>;

    /// Keeps bytes, if it can.
    fn keep(&self, name: &CodeName, bytes: &[u8]);
}

/// A key of BLAKE3.
pub type CodeSecret = [u8; blake3::KEY_LEN];

/// What compiled code depends on: BLAKE3 of the compiler with its settings and of the kernel.
pub type CodeName = [u8; 32];

/// What wasmtime compiles and brings back.
pub(crate) trait Code: Sized {
    fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self>;
    fn serialize(&self) -> wasmtime::Result<Vec<u8>>;

    /// # Safety
    ///
    /// [`Code::serialize`] must have given these bytes.
    #[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
    unsafe fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Self>;
}

macro_rules! code {
    ($($compiled:ty),*) => {$(
        impl Code for $compiled {
            fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
                Self::from_binary(engine, wasm)
            }

            fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
                self.serialize()
            }

            #[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
            unsafe fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Self> {
                // SAFETY: the caller vouches for the bytes.
                unsafe { Self::deserialize(engine, code) }
            }
        }
    )*};
}

code!(Component, Module);

/// A kernel from the store, or compiled and then kept.
pub(crate) fn kept<C: Code>(
    engine: &Engine,
    store: Option<&dyn CodeStore>,
    wasm: &[u8],
    refusal: fn(String) -> Refusal,
) -> Result<C, Refusal> {
    let compile = || {
        shape::check(wasm)?;
        C::compile(engine, wasm).map_err(|error| refusal(format!("{error:#}")))
    };
    let Some((store, secret)) = store.and_then(|store| Some((store, store.secret()?))) else {
        return compile();
    };
    let name = name(engine, wasm);
    if let Some(sealed) = store.read(&name)
        && let Some(code) = unseal(&secret, &name, &sealed)
        && let Some(compiled) = load(engine, code)
    {
        return Ok(compiled);
    }
    let compiled: C = compile()?;
    if let Ok(code) = compiled.serialize() {
        store.keep(&name, &[mac(&secret, &name, &code).as_slice(), &code].concat());
    }
    Ok(compiled)
}

fn name(engine: &Engine, wasm: &[u8]) -> CodeName {
    /// Hashes what wasmtime says of itself, its settings and the processor.
    struct Settings(blake3::Hasher);
    impl Hasher for Settings {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut settings = Settings(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    let mut name = blake3::Hasher::new();
    name.update(settings.0.finalize().as_bytes()).update(wasm);
    *name.finalize().as_bytes()
}

fn mac(secret: &CodeSecret, name: &CodeName, code: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_keyed(secret).update(name).update(code).finalize()
}

/// The code behind its authentication, if that is ours and of this name.
fn unseal<'s>(secret: &CodeSecret, name: &CodeName, sealed: &'s [u8]) -> Option<&'s [u8]> {
    let (claimed, code) = sealed.split_first_chunk::<MAC_BYTES>()?;
    // Compared in constant time: a difference says nothing about where it is.
    (mac(secret, name, code) == blake3::Hash::from_bytes(*claimed)).then_some(code)
}

#[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
fn load<C: Code>(engine: &Engine, code: &[u8]) -> Option<C> {
    // SAFETY: the code was authenticated, so `serialize` gave it to `kept` above. Another version
    // or configuration of wasmtime is refused by wasmtime itself, and so is a module for a
    // component.
    unsafe { C::deserialize(engine, code) }.ok()
}
