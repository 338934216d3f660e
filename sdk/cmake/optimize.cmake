# Re-encodes and shrinks a linked service. Features as in wasm.cmake.
cmake_minimum_required(VERSION 3.25)
execute_process(
  COMMAND ${WASM_OPT} -O2 --mvp-features --enable-mutable-globals --enable-sign-ext --enable-nontrapping-float-to-int
          --enable-bulk-memory --enable-simd --strip-producers --strip-target-features ${FILE} -o ${FILE}.opt
  RESULT_VARIABLE result ERROR_VARIABLE text)
if(result)
  message(FATAL_ERROR "wasm-opt: ${text}")
endif()
file(RENAME ${FILE}.opt ${FILE})
