#pragma once
// The host functions of a chain, module "env": exactly these and no more. Services use them through the
// rest of the SDK; see the reference of host functions for the meaning of each.

#include <cstdint>

#ifdef __wasm__
#define POLIS_IMPORT(name) [[clang::import_module("env"), clang::import_name(#name)]]
#else
#define POLIS_IMPORT(name) // native builds (schema generation) declare them and never call
#endif

namespace polis::sdk::env {

inline constexpr std::uint32_t none = 0xFFFF'FFFF;

extern "C" {
// clang-format off
POLIS_IMPORT(getResult) std::uint32_t polis_getResult(void* dst, std::uint32_t size, std::uint32_t offset);
POLIS_IMPORT(getKey) std::uint32_t polis_getKey(void* dst, std::uint32_t size);
POLIS_IMPORT(writeConsole) void polis_writeConsole(const void* data, std::uint32_t size);
POLIS_IMPORT(abortMessage) [[noreturn]] void polis_abortMessage(const void* data, std::uint32_t size);
POLIS_IMPORT(getCurrentAction) std::uint32_t polis_getCurrentAction();
POLIS_IMPORT(call) std::uint32_t polis_call(const void* action, std::uint32_t size, std::uint64_t flags);
POLIS_IMPORT(setRetval) void polis_setRetval(const void* data, std::uint32_t size);
POLIS_IMPORT(kvOpen) std::uint32_t polis_kvOpen(std::uint32_t db, const void* prefix, std::uint32_t size, std::uint32_t mode);
POLIS_IMPORT(kvOpenAt) std::uint32_t polis_kvOpenAt(std::uint32_t handle, const void* prefix, std::uint32_t size, std::uint32_t mode);
POLIS_IMPORT(kvClose) void polis_kvClose(std::uint32_t handle);
POLIS_IMPORT(exportHandles) void polis_exportHandles(const void* data, std::uint32_t size);
POLIS_IMPORT(importHandles) std::uint32_t polis_importHandles();
POLIS_IMPORT(kvPut) void polis_kvPut(std::uint32_t handle, const void* key, std::uint32_t keySize, const void* value, std::uint32_t valueSize);
POLIS_IMPORT(kvRemove) void polis_kvRemove(std::uint32_t handle, const void* key, std::uint32_t keySize);
POLIS_IMPORT(kvGet) std::uint32_t polis_kvGet(std::uint32_t handle, const void* key, std::uint32_t keySize);
POLIS_IMPORT(kvGreaterEqual) std::uint32_t polis_kvGreaterEqual(std::uint32_t handle, const void* key, std::uint32_t keySize, std::uint32_t match);
POLIS_IMPORT(kvLessThan) std::uint32_t polis_kvLessThan(std::uint32_t handle, const void* key, std::uint32_t keySize, std::uint32_t match);
POLIS_IMPORT(kvMax) std::uint32_t polis_kvMax(std::uint32_t handle, const void* key, std::uint32_t keySize);
POLIS_IMPORT(clockTimeGet) std::int32_t polis_clockTimeGet(std::uint32_t id, std::uint64_t* time);
POLIS_IMPORT(getRandom) void polis_getRandom(void* dst, std::uint32_t size);
POLIS_IMPORT(setMaxCpuTime) void polis_setMaxCpuTime(std::uint64_t ns);
POLIS_IMPORT(checkoutSubjective) void polis_checkoutSubjective();
POLIS_IMPORT(commitSubjective) std::uint32_t polis_commitSubjective();
POLIS_IMPORT(abortSubjective) void polis_abortSubjective();
POLIS_IMPORT(socketOpen) std::int32_t polis_socketOpen(const void* args, std::uint32_t size);
POLIS_IMPORT(socketSend) std::int32_t polis_socketSend(std::int32_t fd, const void* data, std::uint32_t size, std::uint32_t flags);
POLIS_IMPORT(socketSetFlags) std::int32_t polis_socketSetFlags(std::int32_t fd, std::uint32_t mask, std::uint32_t value);
POLIS_IMPORT(readFile) std::uint32_t polis_readFile(const void* path, std::uint32_t size);
// clang-format on
}

} // namespace polis::sdk::env
