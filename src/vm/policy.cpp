#include "vm/policy.hpp"

#include "vm/checked_module.hpp"

#include <algorithm>

namespace polis::vm {

std::string_view name(ValueType type) {
   switch (type) {
   case ValueType::i32:
      return "i32";
   case ValueType::i64:
      return "i64";
   case ValueType::f32:
      return "f32";
   case ValueType::f64:
      return "f64";
   case ValueType::v128:
      return "v128";
   }
   return "invalid";
}

std::uint32_t sizeBytes(ValueType type) {
   switch (type) {
   case ValueType::v128:
      return 16;
   case ValueType::i64:
   case ValueType::f64:
      return 8;
   default:
      return 4;
   }
}

std::string Rejection::text() const { return rule + " (at byte " + std::to_string(offset) + ")"; }

std::expected<CheckedModule, Rejection> checkModule(ByteView code, const Options& options) {
   auto parsed = parse(code, options);
   if (!parsed)
      return std::unexpected(parsed.error());
   CheckedModule out{std::move(*parsed), {}};
   CheckScratch scratch;
   out.functions.reserve(out.module.bodies.size());
   std::uint64_t work = 0;
   for (std::size_t i = 0; i < out.module.bodies.size(); ++i) {
      auto function = checkFunction(out.module, code, i, scratch);
      if (!function)
         return std::unexpected(function.error());
      const Range& body = out.module.bodies[i];
      function->bodyBytes = body.end - body.begin;
      work += function->work();
      if (work > limits::moduleWorkMax)
         return std::unexpected(Rejection{body.begin, "the module is too much work to compile"});
      out.functions.push_back(std::move(*function));
   }
   return out;
}

ModuleFacts factsOf(const CheckedModule& checked) {
   const ParsedModule& m = checked.module;
   ModuleFacts out;
   for (const ParsedImport& import : m.imports)
      out.imports.push_back({std::string(import.module), std::string(import.name), m.types[import.type]});
   for (const ParsedExport& exported : m.exports)
      out.exports.push_back({std::string(exported.name), m.typeOf(exported.function)});
   out.functions = static_cast<std::uint32_t>(m.bodies.size());
   out.hasMemory = m.memory.has_value();
   out.initialPages = m.memory ? m.memory->initial : 0;
   out.tableElements = m.table ? m.table->initial : 0;
   out.hasStart = m.start.has_value();
   for (const ParsedGlobal& global : m.globals)
      if (global.isMutable)
         out.mutableGlobalBytes += sizeBytes(global.type);
   for (const Range& body : m.bodies)
      out.codeBytes += body.end - body.begin;
   for (const FunctionFacts& function : checked.functions) {
      out.largestFrameBytes = std::max<std::uint64_t>(out.largestFrameBytes, function.frameBytes);
      std::uint64_t cost = 0;
      for (const Segment& segment : function.segments)
         cost += segment.cost;
      out.passCost += cost;
      out.largestPassCost = std::max(out.largestPassCost, cost);
      out.work += function.work();
   }
   return out;
}

std::expected<ModuleFacts, Rejection> check(ByteView code, const Options& options) {
   auto checked = checkModule(code, options);
   if (!checked)
      return std::unexpected(checked.error());
   return factsOf(*checked);
}

} // namespace polis::vm
