# CMake toolchain for services: clang-19 to WebAssembly, restricted to what a chain accepts
# (no multi-value, no reference types, no exceptions; only imports of module "env" survive the link).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CROSSCOMPILING TRUE)

set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-19)
set(CMAKE_RANLIB llvm-ranlib-19)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_EXECUTABLE_SUFFIX_C .wasm)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .wasm)

# "mvp" first: the compiler's default turns on features that a chain rejects.
set(POLIS_WASM_FEATURES "-mcpu=mvp -mmutable-globals -msign-ext -mnontrapping-fptoint -mbulk-memory -msimd128")
set(CMAKE_C_FLAGS_INIT "${POLIS_WASM_FEATURES} -O2 -flto -DNDEBUG -fno-exceptions -ffunction-sections -fdata-sections")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} -fno-rtti -fno-threadsafe-statics -fno-c++-static-destructors")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles -flto")
# One kind of build: what runs on a chain is what is tested.
set(CMAKE_BUILD_TYPE "" CACHE STRING "Unused" FORCE)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
