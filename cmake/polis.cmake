# Building blocks shared by every room: warnings, sanitizers, and one function per kind of target.

add_library(polis_options INTERFACE)
target_include_directories(polis_options INTERFACE ${polis_SOURCE_DIR}/src)
target_compile_features(polis_options INTERFACE cxx_std_20)
if(PROJECT_IS_TOP_LEVEL)
  target_compile_options(polis_options INTERFACE -Wall -Wextra -Wconversion -Wthread-safety -Werror)
endif()
target_link_libraries(polis_options INTERFACE Threads::Threads)
if(POLIS_SANITIZE)
  target_compile_options(polis_options INTERFACE -fsanitize=${POLIS_SANITIZE} -fno-omit-frame-pointer
                                                 -fno-sanitize-recover=all)
  target_link_options(polis_options INTERFACE -fsanitize=${POLIS_SANITIZE})
endif()
if(POLIS_FUZZ)
  target_compile_options(polis_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The layer check runs with every build and fails it.
add_custom_target(check_layers ALL
  COMMAND ${polis_SOURCE_DIR}/cmake/check_layers.sh ${polis_SOURCE_DIR}
  COMMENT "Checking layers" VERBATIM)

# polis_library(NAME [SOURCES file…] [DEPS lib…] [PRIVATE_DEPS lib…]): library polis_NAME from src/NAME.
function(polis_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(arg_SOURCES)
    add_library(polis_${name} STATIC ${arg_SOURCES})
    target_link_libraries(polis_${name} PUBLIC polis_options ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
    if(NOT PROJECT_IS_TOP_LEVEL)
      target_compile_options(polis_${name} PRIVATE -w) # another project's warnings, of another compiler
    endif()
  else()
    add_library(polis_${name} INTERFACE)
    target_link_libraries(polis_${name} INTERFACE polis_options ${arg_DEPS})
  endif()
endfunction()

# Every unit test, and nothing else: what a sanitizer build needs.
add_custom_target(unit_tests)

# polis_test(NAME SOURCES file… DEPS lib…): GoogleTest binary NAME_test, run by ctest.
function(polis_test name)
  if(NOT PROJECT_IS_TOP_LEVEL)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_test ${arg_SOURCES})
  target_link_libraries(${name}_test PRIVATE polis_options ${arg_DEPS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE POLIS_SOURCE_DIR="${polis_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name}_test --gtest_brief=1 WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  add_dependencies(unit_tests ${name}_test)
endfunction()

# polis_fuzzer(NAME SOURCES file… DEPS lib…): libFuzzer binary NAME_fuzz, only under the fuzz preset.
function(polis_fuzzer name)
  if(NOT POLIS_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_fuzz ${arg_SOURCES})
  target_link_libraries(${name}_fuzz PRIVATE polis_options ${arg_DEPS})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
endfunction()

# polis_bench(NAME SOURCES file… DEPS lib…): benchmark binary NAME_bench.
function(polis_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_bench ${arg_SOURCES})
  target_link_libraries(${name}_bench PRIVATE polis_options ${arg_DEPS})
  target_include_directories(${name}_bench PRIVATE ${polis_SOURCE_DIR})
endfunction()
