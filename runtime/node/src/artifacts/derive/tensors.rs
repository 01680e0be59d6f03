//! Writes f32 tensors as safetensors, one unpacked at a time.

use std::borrow::Cow;

use safetensors::{Dtype, View};

/// A tensor of the result.
pub(super) struct Parameter<'a> {
    shape: Vec<usize>,
    /// Columns of the source when it is the transpose of the result.
    turned: Option<usize>,
    unpack: Box<dyn Fn() -> Vec<f32> + 'a>,
}

impl<'a> Parameter<'a> {
    /// A tensor of the source as it is.
    pub(super) fn plain(shape: &[usize], unpack: impl Fn() -> Vec<f32> + 'a) -> Self {
        Self { shape: shape.to_vec(), turned: None, unpack: Box::new(unpack) }
    }

    /// A matrix of the source, `[out, in]`, as `[in, out]`.
    pub(super) fn turned([rows, columns]: [usize; 2], unpack: impl Fn() -> Vec<f32> + 'a) -> Self {
        Self { shape: vec![columns, rows], turned: Some(columns), unpack: Box::new(unpack) }
    }
}

impl View for &Parameter<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let elements = (self.unpack)();
        let bytes = |x: &f32| x.to_le_bytes();
        Cow::Owned(match self.turned {
            None => elements.iter().flat_map(bytes).collect(),
            Some(columns) => (0..columns)
                .flat_map(|column| elements.iter().skip(column).step_by(columns))
                .flat_map(bytes)
                .collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// The file: tensors in the order of their names.
pub(super) fn write(parameters: &[(String, Parameter<'_>)]) -> Result<Vec<u8>, String> {
    let views = parameters.iter().map(|(name, parameter)| (name, parameter));
    safetensors::serialize(views, None).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use safetensors::SafeTensors;

    /// Name, shape and elements of everything in a file, by name.
    pub(in super::super) fn read(file: &[u8]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let file = SafeTensors::deserialize(file).unwrap();
        let mut all: Vec<_> = file
            .iter()
            .map(|(name, tensor)| {
                let elements = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
                (name.to_owned(), tensor.shape().to_vec(), elements.collect())
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}
