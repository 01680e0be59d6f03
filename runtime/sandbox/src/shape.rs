//! Static checks of a guest's shape, before anything of it is compiled.
//!
//! They bound what compiling and instantiating cost, which the limits of a call do not see, so that
//! a kilobyte cannot ask for minutes and gigabytes. Whether the guest is valid, what it imports and
//! what it exports is for wasmtime to say.

use wasmparser::{
    BlockType, CompositeInnerType, Encoding, FunctionBody, Operator, Parser, Payload,
};

use crate::store::INSTANCES_MAX;
use crate::{KernelLimits, Refusal};

/// Part of the name of kept code: whatever was checked by other rules than these is checked again.
/// To be raised with every change of this file that refuses more.
pub(crate) const VERSION: u8 = 2;

/// Core modules of a component: the kernel's own, and room for the adapters that component tools
/// add. Components within it have none.
pub(crate) const MODULES_MAX: u64 = 4;

/// Components within a component: tools make one for each exported interface. They hold types and
/// have no components within them, or a few of them could stand for millions.
pub(crate) const COMPONENTS_MAX: u64 = 4;

/// Types, instances, aliases, imports, exports and functions that a component declares, those of
/// components within it included.
pub(crate) const DECLARATIONS_MAX: u64 = 1_000;

/// Functions of all core modules together. CosmWasm allows as many.
pub(crate) const FUNCTIONS_MAX: u64 = 20_000;

/// Bytes of one function. Compilers take more than proportional time for large ones.
pub(crate) const FUNCTION_BYTES_MAX: u64 = 128 << 10;

/// Blocks of one function and branches out of them, each target of a table for itself. What they
/// cost a compiler grows with their square.
pub(crate) const BRANCHES_MAX: u64 = 10_000;

/// Those of all functions together: twice as many as the largest pinned kernel has.
pub(crate) const BRANCHES_TOTAL_MAX: u64 = 400_000;

/// Locals of one function. They need not stand in the module one by one, so that a few bytes could
/// ask for tens of thousands.
pub(crate) const LOCALS_MAX: u64 = 4_096;

/// Parameters of a function type. Each call and each block may repeat them.
pub(crate) const PARAMETERS_MAX: u64 = 64;

/// Results of a function type. Compilers of today's languages make no more.
pub(crate) const RESULTS_MAX: u64 = 1;

/// Imports of all core modules together, and so globals: each has some bytes in every instance.
pub(crate) const IMPORTS_MAX: u64 = 1_000;

/// Globals of all core modules together.
pub(crate) const GLOBALS_MAX: u64 = 10_000;

/// Elements that all tables start with together. The limit of a call is less by default; this is as
/// many as memory for calls is prepared for.
pub(crate) const TABLE_ELEMENTS_MAX: u64 = 1 << 20;

/// Before anything is read.
pub(crate) fn check_size(wasm: &[u8], limits: KernelLimits) -> Result<(), Refusal> {
    within("bytes", wasm.len() as u64, limits.module_bytes_max)
}

/// Before anything is compiled. What it allows is the same for all, so code that was kept was
/// checked then. `damaged` says what a guest is that cannot be read.
pub(crate) fn check(wasm: &[u8], damaged: fn(String) -> Refusal) -> Result<(), Refusal> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let counted = payload.map_err(Unfit::from).and_then(|payload| counts.add(&payload));
        counted.map_err(|unfit| match unfit {
            Unfit::Damaged(reason) => damaged(reason),
            Unfit::Refused(refusal) => refusal,
        })?;
    }
    Ok(())
}

/// Why a part of a guest will not do.
enum Unfit {
    Damaged(String),
    Refused(Refusal),
}

impl From<wasmparser::BinaryReaderError> for Unfit {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was seen so far.
#[derive(Default)]
struct Counts {
    /// Components and modules around what is read, outermost first.
    around: Vec<Encoding>,
    modules: u64,
    components: u64,
    declarations: u64,
    instances: u64,
    functions: u64,
    branches: u64,
    imports: u64,
    globals: u64,
    tables: u64,
    elements: u64,
}

impl Counts {
    /// Takes account of the next part, and refuses it at once rather than after the last of a
    /// million.
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), Unfit> {
        match payload {
            Payload::Version { encoding, .. } => self.around.push(*encoding),
            Payload::End(_) => drop(self.around.pop()),
            Payload::ModuleSection { .. } => {
                self.modules += 1;
                within("core modules within a component of a component", self.inner(), 0)?;
            }
            Payload::ComponentSection { .. } => {
                self.components += 1;
                within("components within a component of a component", self.inner(), 0)?;
            }
            Payload::InstanceSection(section) => self.add_instances(section)?,
            Payload::TypeSection(section) => check_types(section)?,
            Payload::ImportSection(section) => self.imports += u64::from(section.count()),
            Payload::GlobalSection(section) => self.globals += u64::from(section.count()),
            Payload::TableSection(section) => {
                self.tables += u64::from(section.count());
                for table in section.clone() {
                    self.elements = self.elements.saturating_add(table?.ty.initial);
                }
            }
            Payload::CodeSectionEntry(body) => {
                self.functions += 1;
                self.branches += check_function(body)?;
            }
            _ => self.declarations += declared(payload),
        }
        within("core modules", self.modules, MODULES_MAX)?;
        within("components", self.components, COMPONENTS_MAX)?;
        within("declarations", self.declarations, DECLARATIONS_MAX)?;
        within("core instances", self.instances, INSTANCES_MAX as u64)?;
        within("functions", self.functions, FUNCTIONS_MAX)?;
        within("branches", self.branches, BRANCHES_TOTAL_MAX)?;
        within("imports", self.imports, IMPORTS_MAX)?;
        within("globals", self.globals, GLOBALS_MAX)?;
        within("tables", self.tables, INSTANCES_MAX as u64)?;
        within("table elements", self.elements, TABLE_ELEMENTS_MAX)?;
        Ok(())
    }

    /// Components around what is read, but for the outermost.
    fn inner(&self) -> u64 {
        let components = self.around.iter().filter(|around| **around == Encoding::Component);
        components.skip(1).count() as u64
    }

    fn add_instances(
        &mut self,
        section: &wasmparser::InstanceSectionReader<'_>,
    ) -> Result<(), Unfit> {
        within("core instances within a component of a component", self.inner(), 0)?;
        for instance in section.clone() {
            match instance? {
                wasmparser::Instance::Instantiate { .. } => self.instances += 1,
                wasmparser::Instance::FromExports(_) => self.declarations += 1,
            }
        }
        Ok(())
    }
}

/// What a section of a component declares.
fn declared(payload: &Payload<'_>) -> u64 {
    let count = match payload {
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    };
    count.into()
}

/// The function types of a core module.
fn check_types(section: &wasmparser::TypeSectionReader<'_>) -> Result<(), Unfit> {
    for group in section.clone() {
        for ty in group?.into_types() {
            if let CompositeInnerType::Func(ty) = ty.composite_type.inner {
                within("parameters", ty.params().len() as u64, PARAMETERS_MAX)?;
                within("results", ty.results().len() as u64, RESULTS_MAX)?;
            }
        }
    }
    Ok(())
}

/// Gives the number of blocks and branches.
fn check_function(body: &FunctionBody<'_>) -> Result<u64, Unfit> {
    within("bytes in one function", body.range().len() as u64, FUNCTION_BYTES_MAX)?;
    let mut locals = 0;
    for group in body.get_locals_reader()? {
        locals += u64::from(group?.0);
        within("locals in one function", locals, LOCALS_MAX)?;
    }
    let mut branches = 0;
    for operator in body.get_operators_reader()? {
        branches += match operator? {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                // Those of a type of their own may take parameters, as many as there are for each.
                let typed = matches!(blockty, BlockType::FuncType(_));
                within("blocks with parameters", typed.into(), 0)?;
                1
            }
            Operator::Br { .. } | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => 1 + u64::from(targets.len()),
            _ => 0,
        };
        within("branches in one function", branches, BRANCHES_MAX)?;
    }
    Ok(branches)
}

fn within(what: &'static str, count: u64, max: u64) -> Result<(), Refusal> {
    if count > max {
        return Err(Refusal::TooMany { what, count, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(wasm: &[u8], limits: KernelLimits) -> Result<(), Refusal> {
        check_size(wasm, limits).and_then(|()| check(wasm, Refusal::NotAComponent))
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
        let code = "(drop (i32.const 0))".repeat(43_700);
        refused(
            &module(&format!("(func {code})")),
            "it has 131102 bytes in one function, the limit is 131072",
        );
        let many = "(br_if 0 (i32.const 1))".repeat(10_001);
        refused(
            &module(&format!("(func {many})")),
            "it has 10001 branches in one function, the limit is 10000",
        );
        let table = format!("(func (br_table {}(i32.const 1)))", "0 ".repeat(9_999));
        refused(&module(&table.repeat(41)), "it has 409959 branches, the limit is 400000");
        let wide = "(param i32)".repeat(65);
        refused(&module(&format!("(func {wide})")), "it has 65 parameters, the limit is 64");
        refused(&module("(func (result i32 i32) unreachable)"), "it has 2 results, the limit is 1");
        refused(
            &module("(func (i32.const 1) (block (param i32) (drop)))"),
            "it has 1 blocks with parameters, the limit is 0",
        );
        let globals = "(global i32 (i32.const 0))".repeat(10_001);
        refused(&module(&globals), "it has 10001 globals, the limit is 10000");
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

    /// Components within components are how a kilobyte asks for more than any machine has.
    #[test]
    fn what_multiplies_is_refused() {
        let inner = |inside: &str| format!("(component (component {inside}))");
        let within = "within a component of a component, the limit is 0";
        refused(&inner("(core module)"), &format!("it has 1 core modules {within}"));
        refused(&inner("(component)"), &format!("it has 1 components {within}"));
        refused(
            &format!("(component {})", "(component)".repeat(5)),
            "it has 5 components, the limit is 4",
        );
        let instances = "(core instance (instantiate $m))".repeat(3);
        refused(
            &format!("(component (core module $m) {instances})"),
            "it has 3 core instances, the limit is 2",
        );
        let aliases = "(instance (instantiate $c))".repeat(1_001);
        refused(
            &format!("(component (component $c) {aliases})"),
            "it has 1001 declarations, the limit is 1000",
        );
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let wasm = wat::parse_str("(component (core module (func (local i32))))").unwrap();
        let (most, last) = (&wasm[..wasm.len() - 1], &wasm[wasm.len() - 1..]);
        for bytes in [most, last, b""] {
            let refusal = check(bytes, Refusal::NotAComponent).unwrap_err();
            assert!(matches!(refusal, Refusal::NotAComponent(_)), "{refusal}");
        }
        assert!(check(&wasm, Refusal::NotAComponent).is_ok());
    }
}
