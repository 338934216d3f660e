# Functions for services and packages. Include from a project that uses sdk/cmake/wasm.cmake as its toolchain:
#
#    polis_service(hello ACCOUNT hello SOURCES service/hello.cpp HEADER service/hello.hpp CLASS Hello)
#    polis_service(hello_query ACCOUNT hello+1 SOURCES query/hello_query.cpp)
#    polis_package(Hello VERSION 0.1.0 DESCRIPTION "Says hello" SERVICES hello hello_query DATA hello=ui/dist
#                  POSTINSTALL postinstall.json)
#
# polis_service(target
#    ACCOUNT name                 account it runs as; subaccounts as name+N
#    SOURCES file…                the service's own .cpp files
#    [HEADER file CLASS name]     from which the schema is generated; CLASS with its namespace
#    [FLAGS isPrivileged isVerify isReplacement]
#    [SERVER account]             who answers HTTP for the account (registered at installation)
#    [LOCAL]                      code of this node (x-…), never on a chain
#    [STACK bytes]                default 32768
#    [LIBRARIES target…])
#
# polis_package(Name
#    VERSION v DESCRIPTION text
#    SERVICES target…             services it installs
#    [ACCOUNTS account…]          accounts without code
#    [DEPENDS Name…]              packages it needs, any compatible 0.x version
#    [DATA account=folder…]       files served for the account; a folder that does not exist is skipped
#    [POSTINSTALL file]           script/postinstall.json
#    [SCOPE network|local]        default network
#    [OUTPUT path])               file without .psi, in or beside the folder of packages; default Name

set(POLIS_SDK_DIR ${CMAKE_CURRENT_LIST_DIR}/..)
get_filename_component(POLIS_ROOT ${POLIS_SDK_DIR}/.. ABSOLUTE)
set(POLIS_PACKAGE_DIR ${POLIS_ROOT}/build/release/share/polis/packages CACHE PATH "Where .psi files go")
set(POLIS_PACKAGE_VERSION 0.1.0 CACHE STRING "Version of the packages built here")

find_program(POLIS_CCACHE ccache)
if(POLIS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${POLIS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${POLIS_CCACHE})
endif()
find_program(POLIS_WASM_OPT wasm-opt)
find_program(POLIS_OBJCOPY llvm-objcopy-19 REQUIRED)
find_program(POLIS_HOST_CXX clang++-19 REQUIRED)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# Line tables are for `polis test`; what is installed has none. The repository is called /polis in them, wherever it lies.
add_compile_options(-gline-tables-only -fdebug-prefix-map=${POLIS_ROOT}=/polis)
# For the driver, which otherwise runs wasm-opt by itself and loses them; -Wl,--lto-O2 optimises.
add_link_options(-O0)

add_library(polis_sdk_options INTERFACE)
target_include_directories(polis_sdk_options INTERFACE ${POLIS_SDK_DIR}/include ${POLIS_ROOT}/src ${POLIS_ROOT}/packages)
target_compile_options(polis_sdk_options INTERFACE -Wall -Wextra -Wno-missing-designated-field-initializers -Werror)

file(GLOB POLIS_FORMAT_SOURCES CONFIGURE_DEPENDS ${POLIS_ROOT}/src/format/*.cpp)
list(FILTER POLIS_FORMAT_SOURCES EXCLUDE REGEX "(_test|_fuzz|_bench|_check|_native|/hash|/keys)\\.cpp$")

# An app outside of this repository takes the libraries that were built with it, where they are.
set(POLIS_SDK_LIB ${POLIS_ROOT}/build/wasm CACHE PATH "Where the SDK's own libraries were built")
if(NOT POLIS_SDK_LIB STREQUAL CMAKE_BINARY_DIR AND NOT CMAKE_SOURCE_DIR STREQUAL "${POLIS_ROOT}/packages"
   AND EXISTS ${POLIS_SDK_LIB}/libpolis_sdk.a AND EXISTS ${POLIS_SDK_LIB}/libpolis_sdk_test.a
   AND EXISTS ${POLIS_SDK_LIB}/sdk_crypto/libpolis_crypto_wasm.a AND EXISTS ${POLIS_SDK_LIB}/host/libformat.a)
  foreach(library polis_sdk polis_sdk_test)
    add_library(${library} STATIC IMPORTED)
    set_target_properties(${library} PROPERTIES IMPORTED_LOCATION ${POLIS_SDK_LIB}/lib${library}.a)
    target_link_libraries(${library} INTERFACE polis_sdk_options)
  endforeach()
  foreach(library polis_crypto_wasm polis_mbedtls)
    add_library(${library} STATIC IMPORTED)
    set_target_properties(${library} PROPERTIES IMPORTED_LOCATION ${POLIS_SDK_LIB}/sdk_crypto/lib${library}.a)
  endforeach()
  target_include_directories(polis_crypto_wasm INTERFACE ${POLIS_ROOT}/src ${POLIS_ROOT}/sdk)
  target_link_libraries(polis_crypto_wasm INTERFACE polis_mbedtls)
  set(POLIS_HOST_LIBRARY ${POLIS_SDK_LIB}/host/libformat.a)
  add_custom_target(polis_schema_host)
else()
add_library(polis_sdk STATIC ${POLIS_SDK_DIR}/src/runtime.cpp ${POLIS_SDK_DIR}/src/graphql.cpp ${POLIS_FORMAT_SOURCES})
target_link_libraries(polis_sdk PUBLIC polis_sdk_options)
set_source_files_properties(${POLIS_SDK_DIR}/src/runtime.cpp PROPERTIES COMPILE_OPTIONS "-fno-lto;-fno-builtin")

# The same sources natively, for the schema tools.
set(POLIS_HOST_OBJECTS "")
foreach(source IN LISTS POLIS_FORMAT_SOURCES ITEMS ${POLIS_ROOT}/src/base/assert.cpp ${POLIS_ROOT}/src/format/hash_native.cpp)
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/host/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${POLIS_HOST_CXX} -std=c++23 -O1 -MD -MF ${object}.d -MT ${object}
            -I${POLIS_ROOT}/src -c ${source} -o ${object}
    DEPENDS ${source} DEPFILE ${object}.d VERBATIM)
  list(APPEND POLIS_HOST_OBJECTS ${object})
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/host)
set(POLIS_HOST_LIBRARY ${CMAKE_BINARY_DIR}/host/libformat.a)
add_custom_command(OUTPUT ${POLIS_HOST_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${POLIS_HOST_LIBRARY}
  COMMAND ${CMAKE_AR} qcs ${POLIS_HOST_LIBRARY} ${POLIS_HOST_OBJECTS}
  DEPENDS ${POLIS_HOST_OBJECTS} VERBATIM)
add_custom_target(polis_schema_host DEPENDS ${POLIS_HOST_LIBRARY})

if(EXISTS ${POLIS_SDK_DIR}/crypto/CMakeLists.txt)
  add_subdirectory(${POLIS_SDK_DIR}/crypto ${CMAKE_BINARY_DIR}/sdk_crypto)
endif()
add_library(polis_sdk_test STATIC EXCLUDE_FROM_ALL ${POLIS_FORMAT_SOURCES})
target_link_libraries(polis_sdk_test PUBLIC polis_sdk_options)
endif()

define_property(GLOBAL PROPERTY POLIS_PACKAGE_TARGETS BRIEF_DOCS "All package targets" FULL_DOCS "All package targets")

function(polis_service target)
  cmake_parse_arguments(arg "LOCAL" "ACCOUNT;HEADER;CLASS;SERVER;STACK" "SOURCES;FLAGS;LIBRARIES" ${ARGN})
  if(NOT arg_ACCOUNT OR NOT arg_SOURCES)
    message(FATAL_ERROR "polis_service(${target}): ACCOUNT and SOURCES are required")
  endif()
  if(NOT arg_STACK)
    set(arg_STACK 32768)
  endif()
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE polis_sdk ${arg_LIBRARIES})
  if(TARGET polis_crypto_wasm)
    target_link_libraries(${target} PRIVATE polis_crypto_wasm)
  endif()
  set(privileged 0)
  set(local 0)
  if("isPrivileged" IN_LIST arg_FLAGS)
    set(privileged 1)
  endif()
  if(arg_LOCAL)
    set(local 1)
  endif()
  target_compile_definitions(${target} PRIVATE POLIS_SERVICE_PRIVILEGED=${privileged} POLIS_SERVICE_LOCAL=${local})
  # The libraries' features count when everything is optimised together; a chain refuses these encodings.
  target_link_options(${target} PRIVATE -Wl,-mllvm,-mattr=-reference-types)
  target_link_options(${target} PRIVATE -Wl,--no-entry,--stack-first,-z,stack-size=${arg_STACK},--initial-heap=1048576,--gc-sections,--lto-O2)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DWASM_OPT=$<$<BOOL:${POLIS_WASM_OPT}>:${POLIS_WASM_OPT}> -DOBJCOPY=${POLIS_OBJCOPY}
            -DFILE=$<TARGET_FILE:${target}> -DDEBUG_FILE=$<TARGET_FILE_DIR:${target}>/${target}.debug.wasm
            -P ${POLIS_SDK_DIR}/cmake/optimize.cmake
    VERBATIM)

  # Schema: a native program made from the same header.
  set(schema "")
  if(arg_CLASS AND EXISTS ${POLIS_ROOT}/src/format/schema.hpp)
    set(schema ${CMAKE_CURRENT_BINARY_DIR}/${target}.schema.json)
    get_filename_component(header ${arg_HEADER} ABSOLUTE)
    add_custom_command(OUTPUT ${schema}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${POLIS_HOST_CXX} -std=c++23 -O0 -MD -MF ${schema}.d -MT ${schema}
              -I${POLIS_SDK_DIR}/include -I${POLIS_ROOT}/src -I${POLIS_ROOT}/packages
              "-DPOLIS_SCHEMA_HEADER=\"${header}\"" -DPOLIS_SCHEMA_CLASS=${arg_CLASS}
              -c ${POLIS_SDK_DIR}/src/schema_main.cpp -o ${schema}.o
      COMMAND ${POLIS_HOST_CXX} ${schema}.o ${POLIS_HOST_LIBRARY} -lcrypto -o ${schema}.tool
      COMMAND ${schema}.tool ${schema}
      DEPENDS ${header} ${POLIS_SDK_DIR}/src/schema_main.cpp polis_schema_host ${POLIS_HOST_LIBRARY}
      DEPFILE ${schema}.d
      COMMENT "Schema of ${arg_ACCOUNT}" VERBATIM)
    add_custom_target(${target}_schema DEPENDS ${schema})
  endif()
  set_target_properties(${target} PROPERTIES
    POLIS_ACCOUNT "${arg_ACCOUNT}" POLIS_FLAGS "${arg_FLAGS}" POLIS_SERVER "${arg_SERVER}" POLIS_SCHEMA "${schema}")
endfunction()

# Test programs are ordinary WASI commands: the C library of the machine, not the runtime of services.
set(POLIS_TEST_DIR ${CMAKE_BINARY_DIR}/tests CACHE PATH "Where test programs go")
execute_process(COMMAND ${CMAKE_CXX_COMPILER} --target=wasm32-wasi -print-file-name=crt1-command.o
  OUTPUT_VARIABLE POLIS_WASI_START OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT EXISTS "${POLIS_WASI_START}")
  set(POLIS_WASI_START /usr/lib/wasm32-wasi/crt1-command.o)
endif()

function(polis_service_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name}_test ${arg_SOURCES})
  target_link_libraries(${name}_test PRIVATE polis_sdk_test ${arg_LIBRARIES})
  if(TARGET polis_crypto_wasm)
    target_link_libraries(${name}_test PRIVATE polis_crypto_wasm)
  endif()
  target_link_options(${name}_test PRIVATE ${POLIS_WASI_START} -Wl,-z,stack-size=1048576,--stack-first)
  set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${POLIS_TEST_DIR})
endfunction()

function(polis_package name)
  cmake_parse_arguments(arg "" "VERSION;DESCRIPTION;POSTINSTALL;SCOPE;OUTPUT" "SERVICES;ACCOUNTS;DEPENDS;DATA" ${ARGN})
  if(NOT arg_VERSION)
    set(arg_VERSION ${POLIS_PACKAGE_VERSION})
  endif()
  if(NOT arg_SCOPE)
    set(arg_SCOPE network)
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${name})
  endif()
  get_filename_component(label ${arg_OUTPUT} NAME)
  set(accounts ${arg_ACCOUNTS})
  set(services "")
  set(lines "")
  set(depends_on "")
  foreach(target IN LISTS arg_SERVICES)
    get_target_property(account ${target} POLIS_ACCOUNT)
    get_target_property(flags ${target} POLIS_FLAGS)
    get_target_property(server ${target} POLIS_SERVER)
    get_target_property(schema ${target} POLIS_SCHEMA)
    list(APPEND services ${account})
    list(APPEND accounts ${account})
    list(APPEND depends_on ${target})
    if(schema)
      list(APPEND depends_on ${target}_schema)
    endif()
    string(REPLACE ";" "," flags "${flags}")
    string(APPEND lines "service|${account}|$<TARGET_FILE:${target}>|${flags}|${server}|${schema}|$<TARGET_FILE_DIR:${target}>/${target}.debug.wasm\n")
  endforeach()
  foreach(item IN LISTS arg_DATA)
    if(NOT item MATCHES "^([^=]+)=(.+)$")
      message(FATAL_ERROR "polis_package(${name}): DATA wants account=folder, not ${item}")
    endif()
    set(account ${CMAKE_MATCH_1})
    get_filename_component(folder ${CMAKE_MATCH_2} ABSOLUTE)
    list(APPEND accounts ${account})
    string(APPEND lines "data|${account}|${folder}\n")
  endforeach()
  if(arg_POSTINSTALL)
    get_filename_component(file ${arg_POSTINSTALL} ABSOLUTE)
    string(APPEND lines "postinstall|${file}\n")
  endif()
  list(REMOVE_DUPLICATES accounts)
  string(APPEND lines "name|${name}\nversion|${arg_VERSION}\nscope|${arg_SCOPE}\ndescription|${arg_DESCRIPTION}\n")
  foreach(item IN LISTS accounts)
    string(APPEND lines "account|${item}\n")
  endforeach()
  foreach(item IN LISTS arg_DEPENDS)
    string(APPEND lines "depends|${item}|^${POLIS_PACKAGE_VERSION}\n")
  endforeach()
  set(recipe ${CMAKE_CURRENT_BINARY_DIR}/${label}.package)
  file(GENERATE OUTPUT ${recipe} CONTENT "${lines}")
  add_custom_target(package_${label} ALL
    COMMAND ${CMAKE_COMMAND} -DRECIPE=${recipe} -DSTAGE=${CMAKE_CURRENT_BINARY_DIR}/${label}.stage -DOUT=${POLIS_PACKAGE_DIR}/${arg_OUTPUT}.psi
            -P ${POLIS_SDK_DIR}/cmake/pack.cmake
    COMMENT "Package ${label}" VERBATIM)
  if(depends_on)
    add_dependencies(package_${label} ${depends_on})
  endif()
  set_property(GLOBAL APPEND PROPERTY POLIS_PACKAGE_TARGETS package_${label})
endfunction()

# Once, after all packages: writes index.json beside the .psi files.
function(polis_package_index)
  get_property(targets GLOBAL PROPERTY POLIS_PACKAGE_TARGETS)
  add_custom_target(package_index ALL
    COMMAND ${CMAKE_COMMAND} -DDIR=${POLIS_PACKAGE_DIR} -P ${POLIS_SDK_DIR}/cmake/index.cmake VERBATIM)
  if(targets)
    add_dependencies(package_index ${targets})
  endif()
endfunction()
