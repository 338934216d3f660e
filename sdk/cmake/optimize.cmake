# Makes the module that a chain gets, FILE, from one that was linked with line tables; that one stays as DEBUG_FILE, for
# `polis test`. Features as in wasm.cmake.
cmake_minimum_required(VERSION 3.25)
file(RENAME ${FILE} ${DEBUG_FILE})
if(WASM_OPT)
  # Twice: what the first pass leaves together, the second one shrinks.
  set(command ${WASM_OPT} -O2 -O2 --mvp-features --enable-mutable-globals --enable-sign-ext
      --enable-nontrapping-float-to-int --enable-bulk-memory --enable-simd
      --strip-debug --strip-dwarf --strip-producers --strip-target-features ${DEBUG_FILE} -o ${FILE})
else()
  set(command ${OBJCOPY} --strip-all ${DEBUG_FILE} ${FILE})
endif()
execute_process(COMMAND ${command} RESULT_VARIABLE result ERROR_VARIABLE text)
if(result)
  message(FATAL_ERROR "${command}: ${text}")
endif()
