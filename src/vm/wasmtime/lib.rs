//! Re-exports Wasmtime's C API so that the static library keeps its symbols.
#![no_std]
extern crate std;
pub use wasmtime_c_api::*;
