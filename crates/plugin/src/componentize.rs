//! Core modules that know the world, as components.
//!
//! What a compiler for `wasm32-unknown-unknown` makes is a core module; its custom section says which world it is of.

/// Whether bytes are a core module, and not a component.
pub fn is_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Makes a component of a core module.
///
/// Errors: why there is none, for whoever built the module.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{error:#}"))
}
