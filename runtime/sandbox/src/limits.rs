//! What a kernel may use, one limit per resource.
//!
//! Each limit bounds one call, because every call has a fresh instance. All of them change
//! verdicts, so people who compare results must use the same values; the defaults are meant for
//! that.

/// The limits of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Size of the component, in bytes. Compiling takes time and memory in proportion to it. A
    /// larger module is refused before it is parsed.
    pub module_bytes_max: u64,
    /// Linear memory of the instance, in bytes. Protects the validator's memory. Growth beyond it
    /// fails inside the guest; if the call then stops, it is reported as out of memory.
    pub memory_bytes_max: u64,
    /// Elements of all tables of the instance together. A table is memory that the limit above does
    /// not see: eight to sixteen bytes of the host for each element. Growth beyond it fails as
    /// above.
    pub table_elements_max: u64,
    /// WebAssembly instructions that one call may execute, roughly; a second is a few billion.
    /// Bounds the time that a hostile row or kernel can cost, without a clock. The call stops
    /// there.
    pub fuel_per_call: u64,
    /// All arguments of a call together, in bytes, with eight for each element of a list. They are
    /// copied into the guest's memory and must leave room there. A larger call is refused before it
    /// starts: the caller should have made smaller batches.
    pub input_bytes_max: u64,
    /// What the host may allocate to hold the answer, in bytes. Without it, a guest could answer
    /// with a million references to one large string. A larger answer is refused.
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
            input_bytes_max: 64 * MIB,
            output_bytes_max: 128 * MIB,
        }
    }
}
