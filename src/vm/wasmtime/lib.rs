//! Re-exports Wasmtime's C API so that the static library keeps its symbols, and sets what that API has no function for.
#![no_std]
extern crate std;
pub use wasmtime_c_api::*;

use core::num::NonZeroUsize;
use wasmtime_c_api::wasmtime::{Config, Enabled, PoolingAllocationConfig};

// The C API's configuration is a wrapper of one field around Wasmtime's.
const _: () = assert!(core::mem::size_of::<wasm_config_t>() == core::mem::size_of::<Config>());
const _: () = assert!(core::mem::align_of::<wasm_config_t>() == core::mem::align_of::<Config>());
const _: () = assert!(
    core::mem::size_of::<wasmtime_pooling_allocation_config_t>()
        == core::mem::size_of::<PoolingAllocationConfig>()
);

/// Lets guest code use `stack_bytes` of native stack, and keeps traps from walking it.
#[unsafe(no_mangle)]
pub extern "C" fn polis_wasmtime_configure(config: &mut wasm_config_t, stack_bytes: usize) {
    let config = unsafe { &mut *(config as *mut wasm_config_t).cast::<Config>() };
    config.async_stack_size(stack_bytes);
    config.max_wasm_stack(stack_bytes);
    config.wasm_backtrace_max_frames(None);
}

/// Has traps say where guest code was, at most `frames` calls deep: for testers.
#[unsafe(no_mangle)]
pub extern "C" fn polis_wasmtime_backtraces(config: &mut wasm_config_t, frames: usize) {
    let config = unsafe { &mut *(config as *mut wasm_config_t).cast::<Config>() };
    config.wasm_backtrace_max_frames(NonZeroUsize::new(frames));
}

/// Lets the pool ask Linux which pages of a memory were written, where it can tell.
#[unsafe(no_mangle)]
pub extern "C" fn polis_wasmtime_scan_pages(pool: &mut wasmtime_pooling_allocation_config_t) {
    let pool = unsafe { &mut *(pool as *mut wasmtime_pooling_allocation_config_t).cast::<PoolingAllocationConfig>() };
    pool.pagemap_scan(Enabled::Auto);
}
