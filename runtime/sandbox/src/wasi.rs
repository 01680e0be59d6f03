//! The world that a command sees: WASI preview 1 by wasi-common, with nothing of this machine in
//! it.
//!
//! Input, output and errors are pipes in memory, the clock stands still, randomness is the same for
//! every run, and there are no arguments, environment, files or sockets. Every call costs fuel, in
//! proportion to what it makes the host do, so that fuel bounds the time of a command as it does
//! that of a kernel.

use std::io::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use cap_std::time::{Duration, Instant, SystemClock, SystemTime};
use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;
use wasi_common::pipe::{ReadPipe, WritePipe};
use wasi_common::snapshots::preview_1::wasi_snapshot_preview1 as preview1;
use wasi_common::sync::sched_ctx;
use wasi_common::{
    I32Exit, RngCore, Table, WasiClocks, WasiCtx, WasiMonotonicClock, WasiSystemClock,
};
use wasmtime::{Caller, Extern, ExternType, Linker, Module, Trap, Val};
use wiggle::{GuestMemory, run_in_dummy_executor};

use crate::store::{self, CallState};
use crate::{KernelLimits, Refusal, SandboxError};

/// Fuel of a host call, beside what it is charged by its arguments.
const FUEL_PER_CALL: u64 = 1_000;

/// Fuel of each buffer of a call that reads or writes.
const FUEL_PER_BUFFER: u64 = 100;

/// Buffers of one call that reads or writes: as many as Linux takes.
const BUFFERS_MAX: u32 = 1_024;

/// `EINVAL` and `ENOTCAPABLE` of preview 1.
const INVALID: i32 = 28;
const NOT_CAPABLE: i32 = 76;

/// The only module that a command may import from.
const MODULE: &str = "wasi_snapshot_preview1";

/// What a command has written to its standard output.
#[derive(Clone)]
pub(crate) struct Output(Arc<RwLock<Bounded>>);

/// Bytes up to a limit, and whether more were written.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    exceeded: bool,
}

impl Output {
    pub(crate) fn new(max: u64) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self(Arc::new(RwLock::new(Bounded { bytes: vec![], max, exceeded: false })))
    }

    /// Everything that was written; none if it was too much.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let mut written = self.0.write().unwrap_or_else(PoisonError::into_inner);
        (!written.exceeded).then(|| std::mem::take(&mut written.bytes))
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max - self.bytes.len() {
            self.exceeded = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A context with this input and nothing else to read.
pub(crate) fn context(input: Vec<u8>, output: &Output) -> WasiCtx {
    let clocks = WasiClocks::new().with_system(Still).with_monotonic(Still);
    let randomness = Randomness(SeedStream::new(&EpochSeed([0; 32]), "checker"));
    let context = WasiCtx::new(Box::new(randomness), clocks, sched_ctx(), Table::new());
    context.set_stdin(Box::new(ReadPipe::from(input)));
    context.set_stdout(Box::new(WritePipe::from_shared(output.0.clone())));
    context
}

/// A clock that stands at 1970-01-01T00:00:00Z.
struct Still;

impl WasiSystemClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self, _precision: Duration) -> SystemTime {
        SystemClock::UNIX_EPOCH
    }
}

impl WasiMonotonicClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self, _precision: Duration) -> Instant {
        // Preview 1 shows the time since the context was made, so any one moment will do.
        static MOMENT: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *MOMENT
            .get_or_init(|| cap_std::time::MonotonicClock::new(cap_std::ambient_authority()).now())
    }
}

/// The words of a [`SeedStream`], little-endian.
struct Randomness(SeedStream);

impl RngCore for Randomness {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            word.copy_from_slice(&self.0.next_u64().to_le_bytes()[..word.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// What a store of a command holds.
pub(crate) struct CommandState {
    pub(crate) call: CallState,
    pub(crate) wasi: WasiCtx,
}

/// The functions that a command may use, each with what it is charged beside a call's fuel: by the
/// number of buffers, the number of bytes, or nothing.
macro_rules! functions {
    ($linker:expr; $($name:ident($($argument:ident: $ty:ty),*) $price:expr;)*) => {$(
        $linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, CommandState>, $($argument: $ty),*| -> wasmtime::Result<i32> {
                let price: Result<u64, i32> = $price;
                charge(&mut caller, FUEL_PER_CALL + price.unwrap_or(0))?;
                if let Err(errno) = price {
                    return Ok(errno);
                }
                let memory = caller.get_export("memory").and_then(Extern::into_memory);
                let memory = memory.ok_or_else(|| wasmtime::Error::msg("no memory is exported"))?;
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let (wasi, mut memory) = (&mut state.wasi, GuestMemory::Unshared(bytes));
                run_in_dummy_executor(preview1::$name(wasi, &mut memory, $($argument),*))?
            },
        )?;
    )*};
}

/// Links a command's imports: the functions above, and for others of preview 1, which are about
/// files, sockets, waiting and processes, one that refuses.
pub(crate) fn linker(module: &Module) -> Result<Linker<CommandState>, SandboxError> {
    let internal = |error: wasmtime::Error| SandboxError::Internal(format!("no WASI: {error:#}"));
    let engine = module.engine();
    let mut linker = Linker::new(engine);
    link(&mut linker).map_err(internal)?;
    let mut all: Linker<CommandState> = Linker::new(engine);
    wasi_common::sync::add_to_linker(&mut all, |state| &mut state.wasi).map_err(internal)?;
    let mut store = store::new(engine, CommandState::empty(), |state| &mut state.call)?;
    for import in module.imports() {
        let known = all.get_by_import(&mut store, &import).map(|of| of.ty(&store));
        let (Some(ExternType::Func(ty)), MODULE) = (known, import.module()) else {
            let name = format!("{}.{}", import.module(), import.name());
            return Err(Refusal::CommandImports(name).into());
        };
        if linker.get_by_import(&mut store, &import).is_none() {
            let refuse = |mut caller: Caller<'_, _>, _: &[Val], results: &mut [Val]| {
                charge(&mut caller, FUEL_PER_CALL)?;
                results.fill(Val::I32(NOT_CAPABLE));
                Ok(())
            };
            linker.func_new(MODULE, import.name(), ty, refuse).map_err(internal)?;
        }
    }
    Ok(linker)
}

fn link(linker: &mut Linker<CommandState>) -> wasmtime::Result<()> {
    functions! { linker;
        args_get(pointers: i32, bytes: i32) Ok(0);
        args_sizes_get(count: i32, bytes: i32) Ok(0);
        clock_res_get(clock: i32, resolution: i32) Ok(0);
        clock_time_get(clock: i32, precision: i64, time: i32) Ok(0);
        environ_get(pointers: i32, bytes: i32) Ok(0);
        environ_sizes_get(count: i32, bytes: i32) Ok(0);
        fd_close(file: i32) Ok(0);
        fd_fdstat_get(file: i32, status: i32) Ok(0);
        fd_fdstat_set_flags(file: i32, flags: i32) Ok(0);
        fd_filestat_get(file: i32, status: i32) Ok(0);
        fd_prestat_get(file: i32, status: i32) Ok(0);
        fd_read(file: i32, buffers: i32, count: i32, read: i32) buffers_price(count);
        fd_seek(file: i32, offset: i64, whence: i32, place: i32) Ok(0);
        fd_tell(file: i32, place: i32) Ok(0);
        fd_write(file: i32, buffers: i32, count: i32, written: i32) buffers_price(count);
        random_get(buffer: i32, bytes: i32) Ok(u64::from(bytes.cast_unsigned()));
        sched_yield() Ok(0);
    }
    linker.func_wrap(MODULE, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(I32Exit(status).into())
    })?;
    Ok(())
}

fn buffers_price(count: i32) -> Result<u64, i32> {
    match count.cast_unsigned() {
        count if count > BUFFERS_MAX => Err(INVALID),
        count => Ok(FUEL_PER_BUFFER * u64::from(count)),
    }
}

fn charge<T>(caller: &mut Caller<'_, T>, fuel: u64) -> wasmtime::Result<()> {
    match caller.get_fuel()?.checked_sub(fuel) {
        Some(left) => caller.set_fuel(left),
        None => Err(Trap::OutOfFuel.into()),
    }
}

impl CommandState {
    /// Of a store in which nothing runs.
    fn empty() -> Self {
        let call = CallState::new(KernelLimits::default(), 0);
        Self { call, wasi: context(vec![], &Output::new(0)) }
    }
}
