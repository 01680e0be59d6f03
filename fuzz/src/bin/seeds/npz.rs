//! NumPy archives of the small model.

use std::io::{Cursor, Write as _};

use dataforge_fuzz::small_model::parameters;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Where glassllm keeps each parameter, in the order of [`parameters`].
const MEMBERS: [&str; 11] = [
    "E",
    "blocks.0.norm1.gamma",
    "blocks.0.attn.W_Q",
    "blocks.0.attn.W_K",
    "blocks.0.attn.W_V",
    "blocks.0.attn.W_O",
    "blocks.0.norm2.gamma",
    "blocks.0.ffn.W1",
    "blocks.0.ffn.W3",
    "blocks.0.ffn.W2",
    "norm_f.gamma",
];

/// All elements ½, as f32.
pub(crate) fn f32() -> Vec<u8> {
    archive("<f4", &0.5f32.to_le_bytes())
}

/// All elements ½, as f16.
pub(crate) fn f16() -> Vec<u8> {
    archive("<f2", &[0x00, 0x38])
}

fn archive(kind: &str, element: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (member, parameter) in MEMBERS.iter().zip(parameters()) {
        let options = SimpleFileOptions::default();
        zip.start_file(format!("{member}.npy"), options).expect("a member");
        zip.write_all(&npy(kind, &parameter.shape, element)).expect("bytes in memory");
    }
    zip.finish().expect("an archive").into_inner()
}

/// An `.npy` file by NEP 1: f32 of version 1.0, f16 of version 2.0, which has a longer length.
fn npy(kind: &str, shape: &[usize], element: &[u8]) -> Vec<u8> {
    let dims: String = shape.iter().map(|d| format!("{d},")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({dims})}}\n");
    let length = (header.len() as u32).to_le_bytes();
    let (version, length) = if kind == "<f4" { (1, &length[..2]) } else { (2, &length[..]) };
    let data = element.repeat(shape.iter().product());
    [b"\x93NUMPY", &[version, 0][..], length, header.as_bytes(), &data].concat()
}
