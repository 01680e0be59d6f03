//! Why there is no answer, sorted by who has to do something about it.
//!
//! | variant | whose move |
//! |---|---|
//! | [`Internal`](SandboxError::Internal) | ours, or the machine is out of resources; never a verdict |
//! | [`TooSlow`](SandboxError::TooSlow) | the kernel's author; never a verdict |
//! | [`Refused`](SandboxError::Refused), [`InvalidAnswer`](SandboxError::InvalidAnswer) | the kernel's author |
//! | [`Reported`](SandboxError::Reported) | the eval spec's author: the kernel cannot use its arguments |
//! | [`InputTooLarge`](SandboxError::InputTooLarge) | the caller: smaller batches |
//! | the others | data or kernel ask for too much; the same on every machine, but for `StackOverflow` |

use crate::KernelLimits;

/// Why a kernel could not be loaded or a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The host failed: a fault of this program or a machine that is out of memory.
    #[error("the sandbox itself failed: {0}")]
    Internal(String),

    /// The module is not a kernel that this sandbox runs.
    #[error("the kernel is refused: {0}")]
    Refused(#[from] Refusal),

    /// The call used up [`KernelLimits::fuel_per_call`] and, for each item it was about,
    /// [`KernelLimits::fuel_per_item`].
    #[error("the kernel used up its {fuel} units of fuel")]
    OutOfFuel {
        /// Both together.
        fuel: u64,
    },

    /// The call stopped after it was denied more memory or table elements.
    #[error(
        "the kernel ran out of memory: it may have {} bytes and {} table elements",
        .limits.memory_bytes_max, .limits.table_elements_max
    )]
    OutOfMemory {
        /// The limits.
        limits: KernelLimits,
        /// Fuel that the call took.
        fuel: u64,
    },

    /// The call nested too deeply. The sizes of native stack frames differ between processor
    /// architectures, so this is the one stop that another machine may not reproduce: kernels bound
    /// their own recursion, and nobody may be paid or slashed because of it.
    #[error("the kernel overflowed its call stack")]
    StackOverflow,

    /// The call took far longer than its fuel lasts on any machine. Instructions that fill, copy
    /// and initialise memory and tables cost one unit of fuel each however much they do, so fuel
    /// alone does not bound them. Clocks differ, so nobody may be paid or slashed because of it.
    #[error("the kernel ran for more than {seconds} s, far longer than its fuel should last")]
    TooSlow {
        /// What it was given.
        seconds: u64,
    },

    /// The call stopped for a reason of its own: a panic, an access out of bounds, a division by
    /// zero.
    #[error("the kernel trapped: {reason}")]
    Trap {
        /// Which.
        reason: String,
        /// Fuel that the call took.
        fuel: u64,
    },

    /// A checker ended with an exit code other than 0.
    #[error("the checker ended with exit code {status}")]
    Exit {
        /// The code.
        status: i32,
        /// Fuel that the run took.
        fuel: u64,
    },

    /// The kernel answered with its error string: it cannot use the arguments of the eval spec.
    #[error("the kernel reports: {0}")]
    Reported(String),

    /// The answer breaks the contract of `wit/`.
    #[error("the kernel's answer is invalid: {0}")]
    InvalidAnswer(String),

    /// The arguments exceed [`KernelLimits::input_bytes_max`].
    #[error("the arguments have {bytes} bytes, the limit is {max}")]
    InputTooLarge {
        /// Size of the arguments.
        bytes: u64,
        /// The limit.
        max: u64,
    },

    /// The answer exceeds [`KernelLimits::output_bytes_max`].
    #[error("the kernel's answer has more than {max} bytes")]
    OutputTooLarge {
        /// The limit.
        max: u64,
        /// Fuel that the call took.
        fuel: u64,
    },
}

/// Why a module is not a kernel. Found before any of its code runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It would take too long to compile, or too much memory.
    #[error("it has {count} {what}, the limit is {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is, as far as was counted.
        count: u64,
        /// The limit.
        max: u64,
    },

    /// Not a component, damaged, or in need of a feature that is switched off.
    #[error("it is not a valid component: {0}")]
    NotAComponent(String),

    /// It is not the module of a command, is damaged, or needs a feature that is switched off.
    #[error("it is not a valid WASI command: {0}")]
    NotACommand(String),

    /// A command imports functions of WASI preview 1 alone.
    #[error("it imports {0:?}, which is not a function of WASI preview 1")]
    CommandImports(String),

    /// A kernel must be a pure function, so it may not import anything.
    #[error("it imports {0:?}; a kernel has no imports")]
    Imports(String),

    /// A kernel exports one interface and nothing else.
    #[error("it exports {found:?} instead of {expected:?}")]
    Exports {
        /// The interface of the kernel's world, in every version that is known.
        expected: String,
        /// All exports, in the module's order.
        found: Vec<String>,
    },

    /// The interface lacks the function, or the function has another type.
    #[error("its function {function:?} does not have the type of the WIT world: {reason}")]
    Signature {
        /// Name of the function.
        function: &'static str,
        /// What differs.
        reason: String,
    },
}
