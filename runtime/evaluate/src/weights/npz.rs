//! NumPy `.npz` archives with glassllm's member names and `[in, out]` matrices, as f16 or f32.

use super::WeightsFileError;
use dataforge_graph::llama::Parameter;
use half::f16;
use npyz::{DType, NpyFile};
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use zip::ZipArchive;

/// Room for a `.npy` header, which is padded to a multiple of 64 bytes and here never has more than
/// 256. A longer one is refused before it is read: its reader allocates what the file claims, and
/// goes one call deeper with each bracket.
const HEADER_BYTES_MAX: u64 = 1024;

/// What comes before the text of a header: magic, version, and a length of two or four bytes.
const PREFIX_BYTES: usize = 12;

/// Whether a file begins as a zip archive does.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
}

/// The tensors of `parameters` by name. Other members are not read.
pub(super) fn read(
    bytes: &[u8],
    parameters: &[Parameter],
) -> Result<BTreeMap<String, Vec<f32>>, WeightsFileError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut tensors = BTreeMap::new();
    for parameter in parameters {
        let member = format!("{}.npy", member_name(&parameter.name));
        let data = read_member(&mut archive, &member, parameter)
            .map_err(|reason| WeightsFileError::member(member, reason))?;
        tensors.insert(parameter.name.clone(), data);
    }
    Ok(tensors)
}

fn read_member(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    member: &str,
    parameter: &Parameter,
) -> Result<Vec<f32>, String> {
    let mut file = archive.by_name(member).map_err(|e| e.to_string())?;
    let mut prefix = [0; PREFIX_BYTES];
    file.read_exact(&mut prefix).map_err(|e| e.to_string())?;
    let header = header_bytes(&prefix);
    if header > HEADER_BYTES_MAX {
        return Err(format!("has a header of {header} bytes, the limit is {HEADER_BYTES_MAX}"));
    }
    let count = parameter.shape.iter().product::<usize>() as u64;
    let file = prefix.chain(file.take(HEADER_BYTES_MAX + 4 * count));
    let array = NpyFile::new(file).map_err(|e| e.to_string())?;
    let shape: Vec<u64> = parameter.shape.iter().map(|d| *d as u64).collect();
    if array.shape() != shape {
        return Err(format!("has shape {:?}, the model's is {shape:?}", array.shape()));
    }
    if array.order() != npyz::Order::C {
        return Err("is not in row-major order".into());
    }
    let kind = match array.dtype() {
        DType::Plain(kind) => kind.to_string(),
        other => return Err(format!("has structured elements {other:?}")),
    };
    match kind.trim_start_matches(['<', '=']) {
        "f2" => Ok(array
            .into_vec::<f16>()
            .map_err(|e| e.to_string())?
            .into_iter()
            .map(f32::from)
            .collect()),
        "f4" => array.into_vec::<f32>().map_err(|e| e.to_string()),
        other => Err(format!("has elements of type {other}, f2 or f4 was expected")),
    }
}

/// The length of a header's text, by NEP 1: u16 in version 1, u32 from version 2 on.
fn header_bytes(prefix: &[u8; PREFIX_BYTES]) -> u64 {
    let [.., version, _, a, b, c, d] = *prefix;
    let [short, long] =
        [u16::from_le_bytes([a, b]).into(), u32::from_le_bytes([a, b, c, d]).into()];
    if version == 1 { short } else { long }
}

/// glassllm's name of a parameter.
fn member_name(name: &str) -> String {
    let Some((layer, part)) = name.strip_prefix("layer.").and_then(|rest| rest.split_once('.'))
    else {
        return match name {
            "embedding" => "E".into(),
            "final_norm" => "norm_f.gamma".into(),
            other => other.into(),
        };
    };
    let part = match part {
        "attention_norm" => "norm1.gamma",
        "query" => "attn.W_Q",
        "key" => "attn.W_K",
        "value" => "attn.W_V",
        "attention_output" => "attn.W_O",
        "feed_forward_norm" => "norm2.gamma",
        "gate" => "ffn.W1",
        "up" => "ffn.W3",
        "down" => "ffn.W2",
        other => other,
    };
    format!("blocks.{layer}.{part}")
}

#[cfg(test)]
mod tests {
    use super::super::read_weights;
    use super::super::testing::{parameters, refused};
    use super::*;
    use std::io::Write as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// An `.npy` file of version 1.0 (NEP 1) with f32 elements.
    fn npy(shape: &[usize], data: &[f32]) -> Vec<u8> {
        let dims: String = shape.iter().map(|d| format!("{d},")).collect();
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims})}}");
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).unwrap();
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend(length.to_le_bytes());
        file.extend(header.bytes());
        file.extend(data.iter().flat_map(|x| x.to_le_bytes()));
        file
    }

    /// An archive with every member; `change` may alter the shape and the data of one.
    fn archive(mut change: impl FnMut(&str, &mut Vec<usize>, &mut Vec<f32>)) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for parameter in parameters() {
            let mut dims = parameter.shape.clone();
            let mut data = vec![0.5; dims.iter().product()];
            change(&parameter.name, &mut dims, &mut data);
            let name = format!("{}.npy", member_name(&parameter.name));
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&npy(&dims, &data)).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn reads_what_fits() {
        assert!(read_weights(&archive(|_, _, _| {}), parameters()).is_ok());
    }

    /// An archive whose only member begins as an array of version 2.0, with this header.
    fn headed(length: u32, header: &[u8]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("E.npy", SimpleFileOptions::default()).unwrap();
        let parts = [b"\x93NUMPY\x02\x00", &length.to_le_bytes()[..], header];
        zip.write_all(&parts.concat()).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_claimed_header_allocates_nothing() {
        refused(&headed(u32::MAX, b"{"), "E.npy\": has a header of 4294967295 bytes");
        refused(&headed(1025, &[b' '; 1025]), "the limit is 1024");
    }

    #[test]
    fn a_header_of_brackets_is_refused() {
        refused(&headed(1024, &[b'('; 1024]), "E.npy\": ");
        refused(&headed(9, b"{'descr':"), "E.npy\": ");
    }

    #[test]
    fn names_what_does_not_fit() {
        refused(b"PK\x03\x04", "not an .npz file");
        refused(&ZipWriter::new(Cursor::new(vec![])).finish().unwrap().into_inner(), "E.npy");
        let transposed = archive(|name, dims, _| {
            if name == "layer.0.gate" {
                dims.reverse();
            }
        });
        refused(&transposed, "blocks.0.ffn.W1.npy\": has shape [2, 4], the model's is [4, 2]");
        let cut = archive(|name, _, data| {
            if name == "final_norm" {
                data.pop();
            }
        });
        refused(&cut, "norm_f.gamma.npy");
        let infinite = archive(|name, _, data| {
            if name == "embedding" {
                data[3] = f32::INFINITY;
            }
        });
        refused(&infinite, "\"embedding\" has an element that is not finite");
    }
}
