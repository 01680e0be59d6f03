//! Runs graphs in ONNX Runtime: sessions, known-answer test, training, evaluation, state commitments.
