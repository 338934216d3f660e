#include "vm/program.hpp"

#include "vm/binary.hpp"
#include "vm/module_body.hpp"

#include <optional>

namespace polis::vm {
namespace {

/// Native stack of a program; services that it runs have theirs below.
constexpr std::size_t programStackBytes = std::size_t{1} << 20;
constexpr std::size_t paramsMax = 16;
/// What a program exports its memory by, whether or not it does so under a name of its own.
constexpr std::string_view memoryName = "polis::memory";

struct Run;

struct Bound {
   Run* run;
   ProgramFunction function;
};

struct Run {
   std::vector<Bound> functions;
   std::exception_ptr thrown;
};

/// The module with its memory 0 exported as `memoryName`. What is not a module is left as it is.
Bytes exportMemory(ByteView code) {
   constexpr std::size_t magicBytes = 8;
   enum : std::uint8_t { memories = 5, exports = 7 };
   Bytes out = toBytes(code.first(std::min(code.size(), magicBytes)));
   Reader reader(code.subspan(out.size()));
   bool hasMemory = false;
   while (!reader.atEnd()) {
      const std::uint8_t id = reader.u8();
      const ByteView section = reader.take(reader.u32());
      Emitter emitter;
      Reader inner(section);
      if (id == memories)
         hasMemory = inner.u32() > 0;
      if (id == exports && hasMemory) {
         emitter.u32(std::uint64_t{inner.u32()} + 1);
         emitter.name(memoryName);
         emitter.u8(2);
         emitter.u32(0);
      }
      emitter.raw(section.subspan(inner.offset() * (id == exports && hasMemory)));
      if (!reader.ok() || !inner.ok())
         return toBytes(code);
      Emitter whole;
      whole.section(id, emitter);
      append(out, whole.bytes);
   }
   return out;
}

wasm_valtype_t* valtype(ValueType type) {
   switch (type) {
   case ValueType::i32:
      return wasm_valtype_new(WASM_I32);
   case ValueType::i64:
      return wasm_valtype_new(WASM_I64);
   case ValueType::f32:
      return wasm_valtype_new(WASM_F32);
   default:
      return wasm_valtype_new(WASM_F64);
   }
}

wasm_functype_t* functype(const FunctionType& type) {
   std::vector<wasm_valtype_t*> params, results;
   for (const ValueType param : type.params)
      params.push_back(valtype(param));
   if (type.result)
      results.push_back(valtype(*type.result));
   wasm_valtype_vec_t paramVec, resultVec;
   wasm_valtype_vec_new(&paramVec, params.size(), params.data());
   wasm_valtype_vec_new(&resultVec, results.size(), results.data());
   return wasm_functype_new(&paramVec, &resultVec);
}

wasm_trap_t* enter(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t) {
   Bound& bound = *static_cast<Bound*>(env);
   try {
      wasmtime_extern_t item;
      std::uint8_t* data = nullptr;
      std::size_t bytes = 0;
      if (wasmtime_caller_export_get(caller, memoryName.data(), memoryName.size(), &item)) {
         if (item.kind == WASMTIME_EXTERN_MEMORY) {
            data = wasmtime_memory_data(wasmtime_caller_context(caller), &item.of.memory);
            bytes = wasmtime_memory_data_size(wasmtime_caller_context(caller), &item.of.memory);
         }
         wasmtime_extern_delete(&item);
      }
      Value args[paramsMax];
      const FunctionType& type = bound.function.type;
      for (std::size_t i = 0; i < type.params.size(); ++i)
         args[i].i64 = static_cast<std::uint64_t>(values[i].i64);
      Value result{};
      bound.function.body(ProgramMemory(data, bytes), args, &result);
      if (type.result)
         values[0].i64 = static_cast<std::int64_t>(result.i64);
      return nullptr;
   } catch (const ProgramError& error) {
      // The engine adds the calls that led here.
      return wasmtime_trap_new(error.text.data(), error.text.size());
   } catch (...) {
      bound.run->thrown = std::current_exception();
      return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
   }
}

std::string textOf(const wasm_trap_t* trap) {
   wasm_byte_vec_t text;
   wasm_trap_message(trap, &text);
   std::string out(text.data, text.size);
   wasm_byte_vec_delete(&text);
   while (!out.empty() && (out.back() == '\0' || out.back() == '\n'))
      out.pop_back();
   return out;
}

} // namespace

std::span<std::uint8_t> ProgramMemory::span(std::uint32_t pointer, std::uint64_t bytes) const {
   if (pointer > bytes_ || bytes > bytes_ - pointer)
      throw ProgramError{"the program named memory that it does not have"};
   return {data_ + pointer, static_cast<std::size_t>(bytes)};
}

std::expected<int, std::string> runProgram(ByteView code, std::vector<ProgramFunction> functions) {
   wasm_config_t* config = wasm_config_new();
   wasmtime_config_max_wasm_stack_set(config, programStackBytes);
   wasmtime_config_memory_may_move_set(config, false);
   const Owned<wasm_engine_t> engine(wasm_engine_new_with_config(config));
   if (!engine)
      return std::unexpected("cannot start the WebAssembly engine");
   WrittenPages::installHandler();

   Run run;
   run.functions.reserve(functions.size());
   const Owned<wasmtime_linker_t> linker(wasmtime_linker_new(engine.get()));
   for (ProgramFunction& function : functions) {
      if (function.type.params.size() > paramsMax)
         return std::unexpected(function.name + " has too many parameters");
      Bound& bound = run.functions.emplace_back(Bound{&run, std::move(function)});
      const ProgramFunction& f = bound.function;
      wasm_functype_t* type = functype(f.type);
      wasmtime_error_t* error = wasmtime_linker_define_func_unchecked(
          linker.get(), f.module.data(), f.module.size(), f.name.data(), f.name.size(), type, enter, &bound, nullptr);
      wasm_functype_delete(type);
      if (error)
         return std::unexpected(takeMessage(error));
   }

   // Imports address memory 0 (spec, kernel §2.2), which linkers may leave without a name.
   const Bytes reachable = exportMemory(code);
   wasmtime_module_t* rawModule = nullptr;
   if (wasmtime_error_t* error = wasmtime_module_new(engine.get(), reachable.data(), reachable.size(), &rawModule))
      return std::unexpected("not a program: " + takeMessage(error));
   const Owned<wasmtime_module_t> module(rawModule);
   const Owned<wasmtime_store_t> store(wasmtime_store_new(engine.get(), nullptr, nullptr));
   wasmtime_context_t* context = wasmtime_store_context(store.get());

   const auto outcome = [&](wasmtime_error_t* error, wasm_trap_t* rawTrap) -> std::expected<int, std::string> {
      const Owned<wasm_trap_t> trap(rawTrap);
      if (error)
         return std::unexpected(takeMessage(error));
      if (!trap)
         return 0;
      if (!run.thrown)
         return std::unexpected(textOf(trap.get()));
      try {
         std::rethrow_exception(run.thrown);
      } catch (const ProgramExit& exit) {
         return exit.code;
      }
   };

   wasmtime_instance_t instance;
   wasm_trap_t* trap = nullptr;
   if (wasmtime_error_t* error = wasmtime_linker_instantiate(linker.get(), context, module.get(), &instance, &trap);
       error || trap)
      return outcome(error, trap);
   wasmtime_extern_t start;
   if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start) || start.kind != WASMTIME_EXTERN_FUNC)
      return std::unexpected("the program exports no function _start");
   wasmtime_error_t* error = wasmtime_func_call(context, &start.of.func, nullptr, 0, nullptr, 0, &trap);
   return outcome(error, trap);
}

} // namespace polis::vm
