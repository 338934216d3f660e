#include "vm/wat.hpp"

#include "vm/module_body.hpp"

namespace polis::vm {

std::expected<Bytes, std::string> fromText(std::string_view text) {
   wasm_byte_vec_t binary;
   if (wasmtime_error_t* error = wasmtime_wat2wasm(text.data(), text.size(), &binary))
      return std::unexpected(takeMessage(error));
   const auto* begin = reinterpret_cast<const std::uint8_t*>(binary.data);
   Bytes out(begin, begin + binary.size);
   wasm_byte_vec_delete(&binary);
   return out;
}

} // namespace polis::vm
