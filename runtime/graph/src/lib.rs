//! Tensor graphs with exact semantics: model families, autodiff, the optimiser, lowering to ONNX.
