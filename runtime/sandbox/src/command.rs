//! Checkers that others bring: WASI preview 1 commands that read rows and answer with faults.
//!
//! `guest-kernels/checkers/README.md` is the contract. A command is a core module, written in any
//! language, and has a world of its own (`wasi`); the limits are those of kernels. Invariant:
//! nothing survives a run, so runs can neither influence each other nor depend on their order.

use serde::Deserialize;
use wasi_common::I32Exit;
use wasmtime::{Engine, ExternType, FuncType, Instance, InstancePre, Module, Store, ValType};

use crate::kernel::{Answer, check_count, list_bytes, not_started, stopped};
use crate::message::bounded;
use crate::store::{self, CallState};
use crate::wasi::{self, CommandState, Output};
use crate::{CodeStore, KernelLimits, Refusal, SandboxError, code, shape};

/// The function that runs a command.
const START: &str = "_start";

/// What a checker finds wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandFault {
    /// JSON pointer (RFC 6901) into the row, empty for the row as a whole.
    pub pointer: String,
    /// One line for a person. Like the pointer, it has at most 300 bytes and no control characters.
    pub reason: String,
}

/// A compiled checker.
pub struct CheckerCommand {
    instance: InstancePre<CommandState>,
    limits: KernelLimits,
}

impl CheckerCommand {
    pub(crate) fn load(
        engine: &Engine,
        code: Option<&dyn CodeStore>,
        wasm: &[u8],
        limits: KernelLimits,
    ) -> Result<Self, SandboxError> {
        shape::check_size(wasm, limits)?;
        let module: Module = code::kept(engine, code, wasm, Refusal::NotACommand)?;
        check_shape(engine, &module)?;
        let instance = wasi::linker(&module)?
            .instantiate_pre(&module)
            .map_err(|error| Refusal::NotACommand(format!("{error:#}")))?;
        let command = Self { instance, limits };
        // A run that is thrown away: a module that cannot start is refused here and not at a
        // miner's first row.
        command.instantiate(&mut command.store(&[], &Output::new(0))?)?;
        Ok(command)
    }

    /// Checks rows, each a JSON text without line feeds; for each, in order, its first fault.
    ///
    /// The errors are those of [`SandboxError`].
    pub fn check(&self, rows: &[&[u8]]) -> Result<Answer<Vec<Option<CommandFault>>>, SandboxError> {
        let (bytes, max) =
            (list_bytes(rows.iter().map(|row| row.len())), self.limits.input_bytes_max);
        if bytes > max {
            return Err(SandboxError::InputTooLarge { bytes, max });
        }
        let output = Output::new(self.limits.output_bytes_max);
        let mut store = self.store(rows, &output)?;
        let instance = self.instantiate(&mut store)?;
        let run = instance
            .get_typed_func::<(), ()>(&mut store, START)
            .and_then(|start| start.call(&mut store, ()));
        // Before anything else: writing too much is what stopped a command that did.
        let max = self.limits.output_bytes_max;
        let fuel = store::fuel_used(&store, store.data().call.fuel)?;
        let written = output.take().ok_or(SandboxError::OutputTooLarge { max, fuel })?;
        if let Err(error) = run {
            match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => {}
                Some(I32Exit(status)) => return Err(SandboxError::Exit { status: *status, fuel }),
                None => return Err(stopped(&store, |state| &state.call, &error)),
            }
        }
        let value = CommandFault::read_lines(&written, rows.len())?;
        Ok(Answer { value, fuel })
    }

    fn store(&self, rows: &[&[u8]], output: &Output) -> Result<Store<CommandState>, SandboxError> {
        let input = rows.iter().flat_map(|row| [*row, b"\n"]).collect::<Vec<_>>().concat();
        let call = CallState::new(self.limits, rows.len());
        let state = CommandState { call, wasi: wasi::context(input, output) };
        store::new(self.instance.module().engine(), state, |state| &mut state.call)
    }

    fn instantiate(&self, store: &mut Store<CommandState>) -> Result<Instance, SandboxError> {
        self.instance
            .instantiate(&mut *store)
            .map_err(|error| not_started(store, |state| &state.call, &error))
    }
}

/// A command exports what runs it; what it imports is for the linker to say.
fn check_shape(engine: &Engine, module: &Module) -> Result<(), Refusal> {
    let signature = FuncType::new(engine, [] as [ValType; 0], []);
    match (module.get_export(START), module.get_export("memory")) {
        (Some(ExternType::Func(start)), Some(ExternType::Memory(_)))
            if FuncType::eq(&start, &signature) =>
        {
            Ok(())
        }
        _ => Err(Refusal::NotACommand(format!(
            "it does not export a memory and a function {START:?} without parameters"
        ))),
    }
}

impl CommandFault {
    /// Reads what a command has written about so many rows: of each line, the fault that it tells
    /// of, or None for `null`. The last line may lack its end.
    ///
    /// # Errors
    /// [`SandboxError::InvalidAnswer`] for another number of lines, or a line that is neither.
    pub fn read_lines(written: &[u8], rows: usize) -> Result<Vec<Option<Self>>, SandboxError> {
        let lines = written.strip_suffix(b"\n").unwrap_or(written);
        let lines = || lines.split(|byte| *byte == b'\n').filter(|_| !lines.is_empty());
        // Before any is read: a hundred million empty ones are none of the host's memory.
        check_count("rows", lines().count(), rows)?;
        let read = |(line, number): (&[u8], _)| -> Result<_, SandboxError> {
            let invalid =
                |reason: String| SandboxError::InvalidAnswer(format!("answer {number}: {reason}"));
            // Serde would read an object's values from a list, too.
            if line.trim_ascii_start().starts_with(b"[") {
                return Err(invalid("a list is neither a fault nor null".to_owned()));
            }
            let fault: Option<Self> =
                serde_json::from_slice(line).map_err(|error| invalid(error.to_string()))?;
            Ok(fault.map(Self::bounded))
        };
        lines().zip(1..).map(read).collect()
    }

    fn bounded(self) -> Self {
        Self { pointer: bounded(&self.pointer), reason: bounded(&self.reason) }
    }
}
