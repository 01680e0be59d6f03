//! What a kernel may use, one limit per resource.
//!
//! | resource | unit | most | beyond it |
//! |---|---|---|---|
//! | component | bytes | [`module_bytes_max`](KernelLimits::module_bytes_max) | refused, unparsed |
//! | core modules | | 4, none of them in a component within the component | refused, not compiled |
//! | components within the component | | 4, with none within them | refused, not compiled |
//! | its types, aliases, imports, exports, instances | | 1,000 | refused, not compiled |
//! | core instances | | 2 | refused, not compiled |
//! | functions | | 20,000 | refused, not compiled |
//! | one function | bytes | 131,072 | refused, not compiled |
//! | its blocks and branches | | 10,000; of all functions 400,000 | refused, not compiled |
//! | its locals | | 4,096 | refused, not compiled |
//! | its parameters and results | | 64 and 1; of a block none | refused, not compiled |
//! | imports and globals of core modules | | 1,000 and 10,000 | refused, not compiled |
//! | tables | | 2 | refused, not compiled |
//! | elements that tables start with | | 1,048,576 | refused, not compiled |
//! | imports | | 0; of a command, functions of WASI preview 1 | refused |
//! | exports | | the world's one interface; of a command at least `_start` and a memory | refused |
//! | memory | bytes | [`memory_bytes_max`](KernelLimits::memory_bytes_max) | growth fails; if the call then stops, out of memory |
//! | tables | elements | [`table_elements_max`](KernelLimits::table_elements_max) | the same |
//! | work of a call | fuel | [`fuel_per_call`](KernelLimits::fuel_per_call) and, for each row, [`fuel_per_item`](KernelLimits::fuel_per_item) | out of fuel |
//! | a command's host call | fuel | 1,000 and, for each buffer, 100 or, for each random byte, 1 | out of fuel |
//! | a command's buffers in one host call | | 1,024 | the call answers `EINVAL` |
//! | time of a call | seconds | 5 and 1 for each 5,000,000 of fuel | too slow: never a verdict |
//! | native stack | bytes | 1,048,576 | stack overflow: never a verdict |
//! | arguments of a call | bytes | [`input_bytes_max`](KernelLimits::input_bytes_max) | an error of the caller |
//! | answer of a call | bytes | [`output_bytes_max`](KernelLimits::output_bytes_max) | refused |
//!
//! What a submission is blamed for, when its rows make a pinned kernel reach a limit, is for the
//! caller to say: memory, fuel and answer reject it. What is refused uncompiled bounds the time
//! and the memory that compiling takes: each number there is why a small guest cannot ask for
//! minutes or gigabytes, and leaves room above what the pinned kernels need. Work is counted for
//! the rows of a call together: a batch that passes the limit is rejected with the numbers of its
//! rows.
//!
//! Limits of a call bound one call, because every call has a fresh instance. All of them change
//! verdicts, so people who compare results must use the same values; the defaults are meant for
//! that.

/// The limits of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Size of the component, in bytes. Compiling takes time and memory in proportion to it. A
    /// larger component is refused before it is parsed.
    pub module_bytes_max: u64,
    /// Linear memory of the instance, in bytes. Protects the validator's memory. Growth beyond it
    /// fails inside the guest; if the call then stops, it is reported as out of memory.
    pub memory_bytes_max: u64,
    /// Elements of all tables of the instance together. A table is memory that the limit above does
    /// not see: eight to sixteen bytes of the host for each element. Growth beyond it fails as
    /// above. No more than 1,048,576 are ever given.
    pub table_elements_max: u64,
    /// WebAssembly instructions that one call may execute, roughly; a second is a few billion.
    /// Bounds the time that a hostile row or kernel can cost, without a clock. The call stops
    /// there.
    pub fuel_per_call: u64,
    /// What a call may execute more for each item (row, text) that it is about, so that a limit
    /// holds for a row whatever the size of its batch.
    pub fuel_per_item: u64,
    /// All arguments of a call together, in bytes, with eight for each element of a list. They are
    /// copied into the guest's memory and must leave room there. A larger call is refused before it
    /// starts: the caller should have made smaller batches.
    pub input_bytes_max: u64,
    /// The answer, in bytes as the guest has it, each reference to a string for itself: without it,
    /// a guest could answer with a million references to one large string. The host takes up to
    /// three times as much, since an empty list has 24 bytes there and 8 here. A larger answer is
    /// refused.
    pub output_bytes_max: u64,
}

impl Default for KernelLimits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            module_bytes_max: 8 * MIB,
            memory_bytes_max: 512 * MIB,
            table_elements_max: 20_000,
            fuel_per_call: 50_000_000_000,
            fuel_per_item: 0,
            input_bytes_max: 64 * MIB,
            output_bytes_max: 128 * MIB,
        }
    }
}
