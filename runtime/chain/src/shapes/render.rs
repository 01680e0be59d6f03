//! A runtime's metadata in the words of the table.
//!
//! Types are written by the last part of their path, with their parameters. What is inside them is
//! told for those types alone that a rendered line has named, so that another pallet's type of the
//! same name is not taken for it.

use std::collections::BTreeMap;

use scale_info::form::PortableForm;
use scale_info::{Field, PortableRegistry, TypeDef, TypeDefPrimitive};
use subxt::metadata::Metadata;

/// Deeper than any type that the table names; a type that contains itself ends here.
const DEPTH_MAX: usize = 32;

pub(super) struct Renderer<'a> {
    metadata: &'a Metadata,
    /// The named types that rendered lines contain.
    named: BTreeMap<String, u32>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(metadata: &'a Metadata) -> Self {
        Self { metadata, named: BTreeMap::new() }
    }

    /// `call Pallet.name(argument: Type, …)`
    pub(super) fn call(&mut self, name: &str) -> Option<String> {
        let (pallet, call) = name.split_once('.')?;
        let variant = self.metadata.pallet_by_name(pallet)?.call_variant_by_name(call)?;
        let arguments = self.fields(&variant.fields);
        Some(format!("call {name}({})", arguments.join(", ")))
    }

    /// `store Pallet.Name [Hasher:Type, …] -> Type`
    pub(super) fn storage(&mut self, name: &str) -> Option<String> {
        let (pallet, entry) = name.split_once('.')?;
        let entry = self.metadata.pallet_by_name(pallet)?.storage()?.entry_by_name(entry)?;
        let keys: Vec<_> = entry
            .keys()
            .map(|key| format!("{:?}:{}", key.hasher, self.name(key.key_id, 0)))
            .collect();
        let value = self.name(entry.value_ty(), 0);
        Some(format!("store {name} [{}] -> {value}", keys.join(", ")))
    }

    /// `api Trait_method(argument: Type, …) -> Type`
    pub(super) fn api(&mut self, name: &str) -> Option<String> {
        let (api, method) = name.split_once('_')?;
        let method = self.metadata.runtime_api_trait_by_name(api)?.method_by_name(method)?;
        let inputs: Vec<_> = method
            .inputs()
            .map(|input| format!("{}: {}", input.name, self.name(input.id, 0)))
            .collect();
        let output = self.name(method.output_ty(), 0);
        Some(format!("api {name}({}) -> {output}", inputs.join(", ")))
    }

    /// `type Name { field: Type, … }`, `type Name (Type, …)` or `enum Name { Variant, … }`, of a
    /// type that a line rendered before has named.
    pub(super) fn inside(&mut self, name: &str) -> Option<String> {
        let id = *self.named.get(name)?;
        match &self.types().resolve(id)?.type_def {
            TypeDef::Composite(composite) => {
                let fields = self.fields(&composite.fields).join(", ");
                let named = composite.fields.iter().any(|field| field.name.is_some());
                Some(match named {
                    true => format!("type {name} {{ {fields} }}"),
                    false => format!("type {name} ({fields})"),
                })
            }
            TypeDef::Variant(variants) => {
                let variants: Vec<_> = variants
                    .variants
                    .iter()
                    .map(|variant| {
                        let fields = self.fields(&variant.fields).join(", ");
                        let empty = variant.fields.is_empty();
                        if empty {
                            variant.name.clone()
                        } else {
                            format!("{}({fields})", variant.name)
                        }
                    })
                    .collect();
                Some(format!("enum {name} {{ {} }}", variants.join(", ")))
            }
            _ => None,
        }
    }

    fn types(&self) -> &'a PortableRegistry {
        self.metadata.types()
    }

    fn fields(&mut self, fields: &[Field<PortableForm>]) -> Vec<String> {
        fields
            .iter()
            .map(|field| {
                let name = self.name(field.ty.id, 0);
                field.name.as_ref().map_or(name.clone(), |field| format!("{field}: {name}"))
            })
            .collect()
    }

    /// A type's name, as `Vec<(u16,u16)>`.
    fn name(&mut self, id: u32, depth: usize) -> String {
        let Some(found) = self.types().resolve(id).filter(|_| depth < DEPTH_MAX) else {
            return "?".to_owned();
        };
        let mut name = |id: u32| self.name(id, depth + 1);
        match &found.type_def {
            TypeDef::Primitive(primitive) => primitive_name(primitive).to_owned(),
            TypeDef::Sequence(of) => format!("Vec<{}>", name(of.type_param.id)),
            TypeDef::Array(of) => format!("[{};{}]", name(of.type_param.id), of.len),
            TypeDef::Compact(of) => format!("Compact<{}>", name(of.type_param.id)),
            TypeDef::Tuple(of) => {
                let parts: Vec<_> = of.fields.iter().map(|part| name(part.id)).collect();
                format!("({})", parts.join(","))
            }
            TypeDef::BitSequence(_) => "BitSequence".to_owned(),
            TypeDef::Composite(_) | TypeDef::Variant(_) => {
                let parameters: Vec<_> =
                    found.type_params.iter().filter_map(|p| Some(name(p.ty?.id))).collect();
                let last = found.path.segments.last().cloned().unwrap_or_else(|| "?".to_owned());
                self.named.insert(last.clone(), id);
                match parameters.is_empty() {
                    true => last,
                    false => format!("{last}<{}>", parameters.join(",")),
                }
            }
        }
    }
}

fn primitive_name(primitive: &TypeDefPrimitive) -> &'static str {
    match primitive {
        TypeDefPrimitive::Bool => "bool",
        TypeDefPrimitive::Char => "char",
        TypeDefPrimitive::Str => "str",
        TypeDefPrimitive::U8 => "u8",
        TypeDefPrimitive::U16 => "u16",
        TypeDefPrimitive::U32 => "u32",
        TypeDefPrimitive::U64 => "u64",
        TypeDefPrimitive::U128 => "u128",
        TypeDefPrimitive::U256 => "u256",
        TypeDefPrimitive::I8 => "i8",
        TypeDefPrimitive::I16 => "i16",
        TypeDefPrimitive::I32 => "i32",
        TypeDefPrimitive::I64 => "i64",
        TypeDefPrimitive::I128 => "i128",
        TypeDefPrimitive::I256 => "i256",
    }
}
