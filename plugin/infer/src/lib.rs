//! ONNX Runtime inference over model packages.
