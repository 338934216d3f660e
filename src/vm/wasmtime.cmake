# polis_wasmtime: Wasmtime's C API as an imported static library with its headers.
#
# Cargo builds the locked project in src/vm/wasmtime once for all presets and build folders, into build/wasmtime (or the
# folder that the environment names as POLIS_WASMTIME_DIR, so that several clones share one build). The headers come
# with the crate; conf.h, which says what the library was built with, is made here from the feature list of Cargo.toml.

set(wasmtime_project ${CMAKE_CURRENT_SOURCE_DIR}/wasmtime)
set(wasmtime_target_dir ${CMAKE_SOURCE_DIR}/build/wasmtime)
if(DEFINED ENV{POLIS_WASMTIME_DIR})
  set(wasmtime_target_dir $ENV{POLIS_WASMTIME_DIR})
endif()
set(wasmtime_library ${wasmtime_target_dir}/release/libpolis_wasmtime.a)

# The cargo on PATH if it is new enough, else Debian's cargo-web.
set(wasmtime_cargo_minimum 1.95)
set(wasmtime_rustc "")
foreach(candidate cargo cargo-web)
  find_program(wasmtime_${candidate} ${candidate} HINTS $ENV{HOME}/.cargo/bin /usr/bin)
  if(wasmtime_${candidate})
    execute_process(COMMAND ${wasmtime_${candidate}} --version OUTPUT_VARIABLE version ERROR_QUIET)
    if(version MATCHES "cargo ([0-9]+\\.[0-9]+)" AND CMAKE_MATCH_1 VERSION_GREATER_EQUAL wasmtime_cargo_minimum)
      set(wasmtime_cargo_command ${wasmtime_${candidate}})
      break()
    endif()
  endif()
endforeach()
if(NOT wasmtime_cargo_command)
  message(FATAL_ERROR "No cargo of version ${wasmtime_cargo_minimum} or newer: install Debian's cargo-web and rustc-web")
endif()
# Debian's pair is named with a suffix; cargo must be told of its compiler.
set(wasmtime_environment CARGO_TARGET_DIR=${wasmtime_target_dir})
if(wasmtime_cargo_command MATCHES "cargo-web$")
  find_program(wasmtime_rustc_web rustc-web REQUIRED)
  list(APPEND wasmtime_environment RUSTC=${wasmtime_rustc_web})
endif()

# The crate's folder: fetched if need be, then asked of cargo itself.
execute_process(COMMAND ${CMAKE_COMMAND} -E env ${wasmtime_environment} ${wasmtime_cargo_command} fetch --locked --quiet
  WORKING_DIRECTORY ${wasmtime_project} RESULT_VARIABLE result ERROR_VARIABLE fetch_error)
execute_process(COMMAND ${CMAKE_COMMAND} -E env ${wasmtime_environment} ${wasmtime_cargo_command} metadata --locked --format-version 1
  WORKING_DIRECTORY ${wasmtime_project} OUTPUT_VARIABLE metadata RESULT_VARIABLE result ERROR_VARIABLE metadata_error)
if(NOT metadata MATCHES "\"manifest_path\":\"([^\"]*wasmtime-c-api-impl[^\"]*)/Cargo\\.toml\"")
  message(FATAL_ERROR "cargo does not know wasmtime-c-api-impl: ${fetch_error}${metadata_error}")
endif()
set(wasmtime_crate ${CMAKE_MATCH_1})

# conf.h: each feature named in Cargo.toml defines WASMTIME_FEATURE_<NAME>.
file(READ ${wasmtime_project}/Cargo.toml manifest)
if(NOT manifest MATCHES "features = \\[([^]]*)\\]")
  message(FATAL_ERROR "src/vm/wasmtime/Cargo.toml names no features")
endif()
string(REGEX MATCHALL "[a-z0-9-]+" features ${CMAKE_MATCH_1})
foreach(feature ${features})
  string(TOUPPER ${feature} feature)
  string(REPLACE - _ feature ${feature})
  set(WASMTIME_FEATURE_${feature} ON)
endforeach()
set(wasmtime_include ${CMAKE_CURRENT_BINARY_DIR}/wasmtime_include)
configure_file(${wasmtime_crate}/include/wasmtime/conf.h.in ${wasmtime_include}/wasmtime/conf.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${wasmtime_project}/Cargo.toml ${wasmtime_project}/Cargo.lock)

add_custom_command(OUTPUT ${wasmtime_library}
  COMMAND ${CMAKE_COMMAND} -E env ${wasmtime_environment} ${wasmtime_cargo_command} build --release --locked
  COMMAND sh -c "for f in Cargo.toml Cargo.lock lib.rs; do [ \"$1\" -nt $f ] || touch \"$1\"; done" sh ${wasmtime_library}
  WORKING_DIRECTORY ${wasmtime_project}
  DEPENDS ${wasmtime_project}/Cargo.toml ${wasmtime_project}/Cargo.lock ${wasmtime_project}/lib.rs
  COMMENT "Building Wasmtime (several minutes, once)" USES_TERMINAL VERBATIM)
add_custom_target(wasmtime_build DEPENDS ${wasmtime_library})

add_library(polis_wasmtime STATIC IMPORTED GLOBAL)
set_target_properties(polis_wasmtime PROPERTIES IMPORTED_LOCATION ${wasmtime_library})
target_include_directories(polis_wasmtime SYSTEM INTERFACE ${wasmtime_crate}/include ${wasmtime_include})
target_compile_definitions(polis_wasmtime INTERFACE LIBWASM_STATIC)
target_link_libraries(polis_wasmtime INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
add_dependencies(polis_wasmtime wasmtime_build)
