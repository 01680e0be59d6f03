//! Our operators as ONNX Runtime sees them.

use super::lanes::Input;
use super::level::Level;
use super::work::{Work, shapes};
use dataforge_graph::onnx::fused::{DOMAIN, Kind};
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{TensorElementType, ValueRef, ValueRefMut};
use std::cell::RefCell;

/// Every operator of [`DOMAIN`].
pub(crate) fn domain() -> ort::Result<OperatorDomain> {
    let level = Level::fastest();
    let add = |domain: OperatorDomain, kind| domain.add(Fused { kind, level });
    Kind::ALL.into_iter().try_fold(OperatorDomain::new(DOMAIN)?, add)
}

struct Fused {
    kind: Kind,
    level: Level,
}

impl Operator for Fused {
    type Kernel<'attr> = FusedKernel;

    fn name(&self) -> &str {
        self.kind.name()
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::variadic(0)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [match self.kind {
            Kind::Pack => OperatorOutput::required(TensorElementType::Int32),
            _ => OperatorOutput::variadic(1).homogenous(TensorElementType::Float32),
        }]
    }

    fn create_kernel<'attr>(&self, info: &KernelContext<'attr>) -> ort::Result<FusedKernel> {
        let attributes = |name: &str| info.get::<Vec<i64>>(name);
        let work = Work::new(self.kind, &attributes).map_err(error)?;
        let shapes = shapes(self.kind, &attributes).map_err(error)?;
        Ok(FusedKernel { work, shapes, level: self.level })
    }
}

/// One node of a graph.
struct FusedKernel {
    work: Work,
    /// Dimensions of each result.
    shapes: Vec<Vec<i64>>,
    level: Level,
}

impl Kernel for FusedKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let values = (0..context.num_inputs()?)
            .map(|i| context.input(i)?.ok_or_else(|| error("an input is missing")))
            .collect::<ort::Result<Vec<_>>>()?;
        let inputs = values.iter().map(input).collect::<ort::Result<Vec<_>>>()?;
        let failed = RefCell::new(None);
        let parallel = |tasks: usize, task: &(dyn Fn(usize) + Sync)| {
            if tasks <= 1 {
                (0..tasks).for_each(task);
            } else if let Err(e) = context.par_for(tasks, 0, task) {
                failed.replace(Some(e));
            }
        };
        if let Some(length) = self.work.packs() {
            let mut packed = output(context, 0, vec![length as i64])?;
            let packed = packed.try_extract_tensor_mut::<i32>()?.1;
            self.work.pack(self.level, &inputs, packed, &parallel).map_err(error)?;
            return failed.into_inner().map_or(Ok(()), Err);
        }
        let shapes = self.shapes.iter().enumerate();
        let mut results = shapes
            .map(|(i, shape)| output(context, i, shape.clone()))
            .collect::<ort::Result<Vec<_>>>()?;
        let outputs = results
            .iter_mut()
            .map(|value| Ok(value.try_extract_tensor_mut::<f32>()?.1))
            .collect::<ort::Result<Vec<_>>>()?;
        let maxima = self.work.run(self.level, &inputs, outputs, &parallel).map_err(error)?;
        if let Some(e) = failed.into_inner() {
            return Err(e);
        }
        for (i, max) in maxima.into_iter().enumerate() {
            let mut value = output(context, self.shapes.len() + i, vec![1])?;
            value.try_extract_tensor_mut::<f32>()?.1.fill(f32::from_bits(max));
        }
        Ok(())
    }
}

fn error(reason: impl ToString) -> ort::Error {
    ort::Error::new(reason.to_string())
}

fn input<'v>(value: &'v ValueRef<'_>) -> ort::Result<Input<'v>> {
    if let Ok((_, data)) = value.try_extract_tensor::<f32>() {
        return Ok(Input::Floats(data));
    }
    if let Ok((_, data)) = value.try_extract_tensor::<i32>() {
        return Ok(Input::Packed(data));
    }
    Ok(Input::Indices(value.try_extract_tensor::<i64>()?.1))
}

fn output(context: &ComputeContext, index: usize, shape: Vec<i64>) -> ort::Result<ValueRefMut<'_>> {
    context.output(index, shape)?.ok_or_else(|| error("a result has no place"))
}
