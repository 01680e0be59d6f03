//! Compiled kernels kept between processes: compiling takes a second, loading milliseconds.
//!
//! What is kept is machine code and runs with all rights of the process, so it is loaded only with
//! a message authentication code (BLAKE3 with a key, the specification's section 2.1) under a
//! secret of this user. Without the secret nobody can make the sandbox run code that it did not
//! compile itself, and with it they are the user. What others see is hashed by SHA-256; nobody else
//! sees this, and megabytes of it are hashed each time a process starts.
//!
//! A file of kept code is the code and then its authentication code. It is mapped into memory
//! rather than read, so whoever could write to it later would change what runs: stores give files
//! that this user alone can write.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _};
use std::path::Path;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::{Refusal, shape};

/// Bytes of an authentication code.
const MAC_BYTES: usize = blake3::OUT_LEN;

/// Where compiled kernels are kept.
pub trait CodeStore {
    /// Random bytes that this user alone can read; without them nothing is kept.
    fn secret(&self) -> Option<CodeSecret>;

    /// The file of what was kept under a name, at its start. Nobody but this user can write to it,
    /// and nobody does for as long as it is open.
    fn open(&self, name: &CodeName) -> Option<File>;

    /// Keeps bytes, if it can.
    fn keep(&self, name: &CodeName, bytes: &[u8]);
}

/// A key of BLAKE3.
pub type CodeSecret = [u8; blake3::KEY_LEN];

/// What compiled code depends on: BLAKE3 of the compiler with its settings, of the version of the
/// static checks, and of the kernel.
pub type CodeName = [u8; 32];

/// What wasmtime compiles and brings back.
pub(crate) trait Code: Sized {
    fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self>;
    fn serialize(&self) -> wasmtime::Result<Vec<u8>>;

    /// # Safety
    ///
    /// [`Code::serialize`] must have given what the file starts with, and nobody may change it.
    #[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
    unsafe fn deserialize(engine: &Engine, file: &Path) -> wasmtime::Result<Self>;
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
            unsafe fn deserialize(engine: &Engine, file: &Path) -> wasmtime::Result<Self> {
                // SAFETY: the caller vouches for the file.
                unsafe { Self::deserialize_file(engine, file) }
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
        shape::check(wasm, refusal)?;
        C::compile(engine, wasm).map_err(|error| refusal(format!("{error:#}")))
    };
    let Some((store, secret)) = store.and_then(|store| Some((store, store.secret()?))) else {
        return compile();
    };
    let name = name(engine, wasm);
    if let Some(file) = store.open(&name)
        && is_authentic(&secret, &name, &file).unwrap_or(false)
        && let Some(compiled) = load(engine, &file)
    {
        return Ok(compiled);
    }
    let compiled: C = compile()?;
    if let Ok(code) = compiled.serialize() {
        let mac = mac(&secret, &name).update(&code).finalize();
        store.keep(&name, &[&code, mac.as_slice()].concat());
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
    name.update(settings.0.finalize().as_bytes()).update(&[shape::VERSION]).update(wasm);
    *name.finalize().as_bytes()
}

/// The authentication code of what is kept under a name, before the code itself.
fn mac(secret: &CodeSecret, name: &CodeName) -> blake3::Hasher {
    let mut mac = blake3::Hasher::new_keyed(secret);
    mac.update(name);
    mac
}

/// Whether a file holds code of this name that we kept.
fn is_authentic(secret: &CodeSecret, name: &CodeName, mut file: &File) -> io::Result<bool> {
    let Some(code_bytes) = file.metadata()?.len().checked_sub(MAC_BYTES as u64) else {
        return Ok(false);
    };
    let mut mac = mac(secret, name);
    mac.update_reader(file.take(code_bytes))?;
    let mut claimed = [0; MAC_BYTES];
    file.read_exact(&mut claimed)?;
    // Compared in constant time: a difference says nothing about where it is.
    Ok(mac.finalize() == blake3::Hash::from_bytes(claimed))
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "wasmtime cannot know where code comes from")]
fn load<C: Code>(engine: &Engine, code: &File) -> Option<C> {
    use std::os::fd::AsRawFd as _;
    // The very file that was authenticated, whatever has its name by now.
    let file = format!("/dev/fd/{}", code.as_raw_fd());
    // SAFETY: the code was authenticated, so `serialize` gave it to `kept` above, and its store
    // promises that nobody writes to it. Another version or configuration of wasmtime is refused by
    // wasmtime itself, and so is a module for a component.
    unsafe { C::deserialize(engine, Path::new(&file)) }.ok()
}

#[cfg(not(unix))]
fn load<C>(_: &Engine, _: &File) -> Option<C> {
    None
}
