//! Any bytes as a guest: refused, or a kernel or checker whose calls end within their limits.
#![no_main]

use dataforge_sandbox::{KernelLimits, Sandbox};
use libfuzzer_sys::fuzz_target;

const LIMITS: KernelLimits = KernelLimits {
    module_bytes_max: 16 << 10,
    memory_bytes_max: 4 << 20,
    table_elements_max: 1_000,
    fuel_per_call: 1_000_000,
    fuel_per_item: 0,
    input_bytes_max: 1 << 10,
    output_bytes_max: 1 << 16,
};

thread_local! {
    static SANDBOX: Sandbox<'static> = Sandbox::new().expect("this machine runs WebAssembly");
}

fuzz_target!(|wasm: &[u8]| SANDBOX.with(|sandbox| try_both(sandbox, wasm)));

fn try_both(sandbox: &Sandbox<'_>, wasm: &[u8]) {
    if let Ok(kernel) = sandbox.tokenizer_kernel(wasm, LIMITS) {
        let _ends = kernel.encode(b"{}", &["a"]);
    }
    if let Ok(checker) = sandbox.checker_command(wasm, LIMITS) {
        let [one, other] = [(); 2].map(|()| checker.check(&[b"{}"]));
        // The same twice, or it is the clock's doing.
        if let (Ok(one), Ok(other)) = (one, other) {
            assert_eq!(one, other);
        }
    }
}
