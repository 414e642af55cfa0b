//! The SkySense model in Burn, and its ONNX graphs.
