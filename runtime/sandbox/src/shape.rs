//! Static checks of a component's shape, before anything of it is compiled.
//!
//! They bound what compiling costs, which the limits of a call do not see. Whether the component is
//! valid, what it imports and what it exports is for wasmtime to say.

use wasmparser::{FunctionBody, Parser, Payload};

use crate::store::INSTANCES_MAX;
use crate::{KernelLimits, Refusal};

/// Core modules of a component, at any depth: the kernel's own, and room for the adapters that
/// component tools add.
pub(crate) const MODULES_MAX: u64 = 4;

/// Functions of all core modules together. CosmWasm allows as many.
pub(crate) const FUNCTIONS_MAX: u64 = 20_000;

/// Bytes of one function. Compilers take more than proportional time for large ones.
pub(crate) const FUNCTION_BYTES_MAX: u64 = 256 << 10;

/// Locals of one function. They need not stand in the module one by one, so that a few bytes could
/// ask for tens of thousands.
pub(crate) const LOCALS_MAX: u64 = 4_096;

/// Elements that all tables start with together. The limit of a call is less by default; this is as
/// many as memory for calls is prepared for.
pub(crate) const TABLE_ELEMENTS_MAX: u64 = 1 << 20;

/// Before anything is read.
pub(crate) fn check_size(wasm: &[u8], limits: KernelLimits) -> Result<(), Refusal> {
    within("bytes", wasm.len() as u64, limits.module_bytes_max)
}

/// Before anything is compiled. What it allows is the same for all, so code that was kept was
/// checked then.
pub(crate) fn check(wasm: &[u8]) -> Result<(), Refusal> {
    let (mut modules, mut functions, mut tables, mut elements) = (0, 0, 0, 0_u64);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } => modules += 1,
            Payload::TableSection(section) => {
                tables += u64::from(section.count());
                for table in section {
                    let table = table.map_err(malformed)?;
                    elements = elements.saturating_add(table.ty.initial);
                }
            }
            Payload::CodeSectionEntry(body) => {
                functions += 1;
                check_function(&body)?;
            }
            _ => {}
        }
        // At once, rather than after the last of a million.
        within("core modules", modules, MODULES_MAX)?;
        within("functions", functions, FUNCTIONS_MAX)?;
        within("tables", tables, INSTANCES_MAX as u64)?;
        within("table elements", elements, TABLE_ELEMENTS_MAX)?;
    }
    Ok(())
}

fn check_function(body: &FunctionBody<'_>) -> Result<(), Refusal> {
    within("bytes in one function", body.range().len() as u64, FUNCTION_BYTES_MAX)?;
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(malformed)? {
        let (count, _) = group.map_err(malformed)?;
        locals += u64::from(count);
        within("locals in one function", locals, LOCALS_MAX)?;
    }
    Ok(())
}

fn within(what: &'static str, count: u64, max: u64) -> Result<(), Refusal> {
    if count > max {
        return Err(Refusal::TooMany { what, count, max });
    }
    Ok(())
}

fn malformed(error: wasmparser::BinaryReaderError) -> Refusal {
    Refusal::NotAComponent(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(wasm: &[u8], limits: KernelLimits) -> Result<(), Refusal> {
        check_size(wasm, limits).and_then(|()| check(wasm))
    }

    #[track_caller]
    fn refused(component: &str, expect: &str) {
        let wasm = wat::parse_str(component).unwrap();
        let limits = KernelLimits { module_bytes_max: 1 << 20, ..KernelLimits::default() };
        assert_eq!(whole(&wasm, limits).unwrap_err().to_string(), expect);
    }

    #[test]
    fn what_would_be_dear_to_compile_is_refused() {
        let module = |fields: &str| format!("(component (core module {fields}))");
        refused(&module(&"(func)".repeat(20_001)), "it has 20001 functions, the limit is 20000");
        let locals = "(local i32)".repeat(4_097);
        refused(
            &module(&format!("(func {locals})")),
            "it has 4097 locals in one function, the limit is 4096",
        );
        let code = "(drop (i32.const 0))".repeat(87_400);
        refused(
            &module(&format!("(func {code})")),
            "it has 262202 bytes in one function, the limit is 262144",
        );
        refused(
            &module("(table 1 funcref) (table 1048576 funcref)"),
            "it has 1048577 table elements, the limit is 1048576",
        );
        let tables = "(table 0 funcref)".repeat(3);
        refused(&module(&tables), "it has 3 tables, the limit is 2");
        let five = "(core module)".repeat(5);
        refused(&format!("(component {five})"), "it has 5 core modules, the limit is 4");
        let data = format!("(memory 20) (data (i32.const 0) \"{}\")", "a".repeat(1 << 20));
        let wasm = wat::parse_str(module(&data)).unwrap().len();
        refused(&module(&data), &format!("it has {wasm} bytes, the limit is 1048576"));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let wasm = wat::parse_str("(component (core module (func (local i32))))").unwrap();
        let (most, last) = (&wasm[..wasm.len() - 1], &wasm[wasm.len() - 1..]);
        for bytes in [most, last, b""] {
            let refusal = check(bytes).unwrap_err();
            assert!(matches!(refusal, Refusal::NotAComponent(_)), "{refusal}");
        }
        assert!(check(&wasm).is_ok());
    }
}
