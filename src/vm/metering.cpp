#include "vm/metering.hpp"

#include "vm/simple_ops.hpp"

#include <algorithm>
#include <iterator>
#include <span>

namespace polis::vm {
namespace {

constexpr unsigned i32 = 0x7f, i64 = 0x7e;

/// Globals of the metered module, after its own, where loops keep locals during a call: some of each type.
struct KeptGlobals {
   static constexpr ValueType types[] = {ValueType::i32, ValueType::i64, ValueType::f32, ValueType::f64,
                                         ValueType::v128};
   std::uint32_t first[std::size(types)] = {};

   static std::size_t place(ValueType type) {
      return static_cast<std::size_t>(std::ranges::find(types, type) - std::begin(types));
   }
   std::uint32_t take(ValueType type) { return first[place(type)]++; }
};

/// Our functions come between the imports of the module and its own functions.
struct HostPlace {
   std::uint32_t first = 0, count = metered::hostFunctions;

   /// Index in the metered module of what was function `index`.
   std::uint32_t after(std::uint32_t index) const { return index < first ? index : index + count; }
};

/// Rewrites one body.
class FunctionMeter {
public:
   FunctionMeter(const FunctionFacts& facts, const FunctionType& type, Range body, ByteView code, HostPlace hosts,
                 const KeptGlobals& keptGlobals, std::uint32_t maxPages, Emitter& out,
                 std::vector<std::size_t>& unlikely, Twin* twin)
      : facts_(facts), keptGlobals_(keptGlobals), type_(type), in_(code, facts.codeBegin, body.end), code_(code),
        locals_(code, body.begin, facts.codeBegin), hosts_(hosts), maxPages_(maxPages), out_(out), unlikely_(unlikely),
        twin_(twin) {
      const auto params = static_cast<std::uint32_t>(type.params.size());
      stack_ = params;
      left_ = params + 1;
      temp_ = params + 2 + facts.declaredLocals;
   }

   void run() {
      declareLocals();
      enterFunction();
      // What the body calls its outermost label is this block.
      out_.u8(op::block);
      out_.u8(type_.result ? static_cast<unsigned>(*type_.result) : op::emptyBlock);
      std::size_t depth = 1;
      while (depth) {
         chargeSegment();
         if (twin_)
            note();
         instruction(depth);
      }
      get(left_);
      out_.u8(op::end);
   }

private:
   void declareLocals() {
      const std::uint32_t groups = locals_.u32();
      out_.u32(groups + (facts_.needsTemps ? 1 : 0));
      out_.raw(code_.subspan(locals_.offset(), facts_.codeBegin - locals_.offset()));
      if (facts_.needsTemps) {
         out_.u32(2);
         out_.u8(i32);
      }
   }

   void get(std::uint32_t local) { out_.u8(op::localGet), out_.u32(local); }
   void set(std::uint32_t local) { out_.u8(op::localSet), out_.u32(local); }
   void tee(std::uint32_t local) { out_.u8(op::localTee), out_.u32(local); }
   void constI32(std::uint32_t value) { out_.u8(op::i32Const), out_.s64(static_cast<std::int32_t>(value)); }
   void constI64(std::int64_t value) { out_.u8(op::i64Const), out_.s64(value); }
   /// All branches added here are for what almost never happens.
   void ifThen() {
      unlikely_.push_back(out_.bytes.size());
      out_.u8(op::if_), out_.u8(op::emptyBlock);
   }
   void end() { out_.u8(op::end); }
   void callHost(std::uint32_t which) { out_.u8(op::call), out_.u32(hosts_.first + which); }

   /// The next instruction of a twin: counted if it is marked, and where it comes from.
   void note() {
      const auto at = static_cast<std::uint32_t>(in_.offset());
      if (const auto mark = std::ranges::lower_bound(twin_->marks, at); mark != twin_->marks.end() && *mark == at) {
         constI32(static_cast<std::uint32_t>(mark - twin_->marks.begin()));
         callHost(3);
      }
      twin_->places.push_back({static_cast<std::uint32_t>(out_.bytes.size()), at});
   }

   /// stack < frame: overflow. Else stack -= frame, seen by callees only: it is this function's own parameter.
   void enterFunction() {
      get(stack_);
      constI32(facts_.frameBytes);
      out_.u8(op::i32LtU);
      ifThen();
      callHost(1);
      out_.u8(op::unreachable);
      end();
      if (facts_.calls) {
         get(stack_);
         constI32(facts_.frameBytes);
         out_.u8(op::i32Sub);
         set(stack_);
         // Without calls and loops a function ends by itself; where it is called from, or loops, there is a look.
         look();
      }
   }

   /// kept: locals that are put away during the call, so that registers can hold them where it is not made.
   void look(std::span<const KeptLocal> kept = {}) {
      get(left_);
      constI64(0);
      out_.u8(op::i64LtS);
      ifThen();
      std::vector<std::uint32_t> places;
      KeptGlobals next = keptGlobals_;
      for (const KeptLocal& one : kept) {
         places.push_back(next.take(one.type));
         get(local(one.local));
         out_.u8(op::globalSet), out_.u32(places.back());
      }
      get(left_);
      callHost(0);
      set(left_);
      for (std::size_t i = 0; i < kept.size(); ++i) {
         out_.u8(op::globalGet), out_.u32(places[i]);
         set(local(kept[i].local));
      }
      end();
   }

   void chargeSegment() {
      while (next_ < facts_.segments.size() && facts_.segments[next_].offset <= in_.offset()) {
         const Segment& segment = facts_.segments[next_++];
         if (segment.cost) {
            get(left_);
            constI64(segment.cost);
            out_.u8(op::i64Sub);
            set(left_);
         }
         if (segment.loop)
            look(std::span(facts_.kept).subspan(segment.keptBegin, segment.keptCount));
      }
   }

   /// Operand on top: the amount of a bulk instruction, in bytes or in elements of a table; it stays.
   void chargeBulk(bool elements) {
      tee(temp_);
      get(left_);
      get(temp_);
      if (!elements) {
         constI32(bulkShift);
         out_.u8(op::i32ShrU);
      }
      out_.u8(op::i64ExtendI32U);
      out_.u8(op::i64Sub);
      set(left_);
      look();
   }

   /// Pages asked for on top. -1 is for the module's limit only; when the machine is short, no verdict depends on it.
   void grow() {
      tee(temp_);
      out_.u8(op::memoryGrow), out_.u8(0);
      tee(temp_ + 1);
      constI32(~0u);
      out_.u8(op::i32Eq);
      ifThen();
      out_.u8(op::memorySize), out_.u8(0);
      out_.u8(op::i64ExtendI32U);
      get(temp_);
      out_.u8(op::i64ExtendI32U);
      out_.u8(op::i64Add);
      constI64(maxPages_);
      out_.u8(op::i64LeU);
      ifThen();
      callHost(2);
      out_.u8(op::unreachable);
      end();
      end();
      get(temp_ + 1);
   }

   std::uint32_t local(std::uint32_t index) const {
      return index < type_.params.size() ? index : index + 2; // ours come after the parameters
   }

   std::uint32_t function(std::uint32_t index) const { return hosts_.after(index); }

   /// Copies what was read since `from`.
   void copy(std::size_t from) { out_.raw(code_.subspan(from, in_.offset() - from)); }

   void memoryArgument() {
      in_.u32();
      in_.u32();
   }

   void instruction(std::size_t& depth) {
      const std::size_t at = in_.offset();
      const std::uint8_t code = in_.u8();
      switch (code) {
      case op::block:
      case op::loop:
      case op::if_:
         in_.u8();
         ++depth;
         return copy(at);
      case op::end:
         --depth;
         return copy(at);
      case op::br:
      case op::brIf:
      case op::globalGet:
      case op::globalSet:
         in_.u32();
         return copy(at);
      case op::brTable:
         for (std::uint32_t n = in_.u32();; --n) {
            in_.u32();
            if (n == 0)
               break;
         }
         return copy(at);
      case op::return_:
         get(left_);
         return copy(at);
      case op::call:
         get(stack_);
         get(left_);
         out_.u8(op::call);
         out_.u32(function(in_.u32()));
         return set(left_);
      case op::callIndirect: {
         // The index into the table is on top; the added arguments go below it.
         const std::uint32_t type = in_.u32();
         in_.u8();
         set(temp_);
         get(stack_);
         get(left_);
         get(temp_);
         out_.u8(op::callIndirect);
         out_.u32(type);
         out_.u8(0);
         return set(left_);
      }
      case op::localGet:
      case op::localSet:
      case op::localTee:
         out_.u8(code);
         out_.u32(local(in_.u32()));
         return;
      case op::memorySize:
         in_.u8();
         return copy(at);
      case op::memoryGrow:
         in_.u8();
         return grow();
      case op::i32Const:
         in_.s32();
         return copy(at);
      case op::i64Const:
         in_.s64();
         return copy(at);
      case op::f32Const:
         in_.take(4);
         return copy(at);
      case op::f64Const:
         in_.take(8);
         return copy(at);
      case op::prefixMisc: {
         const std::uint32_t which = in_.u32();
         if (which == 9 || which == 13) {
            in_.u32();
         } else if (which >= 8) {
            chargeBulk(which >= 12); // table.init, table.copy
            in_.u32();
            if (which != 11)
               in_.u8();
         }
         return copy(at);
      }
      case op::prefixSimd: {
         const SimdOp* o = simdOp(in_.u32());
         switch (o->immediate) {
         case SimdImmediate::none:
            break;
         case SimdImmediate::memory:
            memoryArgument();
            break;
         case SimdImmediate::memoryLane:
            memoryArgument();
            in_.u8();
            break;
         case SimdImmediate::lane:
            in_.u8();
            break;
         case SimdImmediate::constant:
         case SimdImmediate::shuffle:
            in_.take(16);
            break;
         }
         return copy(at);
      }
      default:
         if (simpleOp(code).memory)
            memoryArgument();
         return copy(at);
      }
   }

   const FunctionFacts& facts_;
   const KeptGlobals& keptGlobals_;
   const FunctionType& type_;
   Reader in_;
   ByteView code_;
   Reader locals_;
   HostPlace hosts_;
   std::uint32_t maxPages_;
   Emitter& out_;
   std::vector<std::size_t>& unlikely_; ///< offsets within the body
   Twin* twin_;
   std::uint32_t stack_ = 0, left_ = 0, temp_ = 0; ///< locals
   std::size_t next_ = 0;
};

class ModuleMeter {
public:
   ModuleMeter(const CheckedModule& checked, ByteView code, const Options& options, Twin* twin)
      : module_(checked.module), functions_(checked.functions), code_(code), options_(options), twin_(twin),
        imports_(static_cast<std::uint32_t>(module_.imports.size())), hosts_{.first = imports_} {
      if (marks())
         ++hosts_.count;
      for (const FunctionFacts& function : functions_)
         for (const Segment& segment : function.segments) {
            std::size_t counts[std::size(KeptGlobals::types)] = {};
            for (std::size_t i = 0; i < segment.keptCount; ++i) {
               const std::size_t place = KeptGlobals::place(function.kept[segment.keptBegin + i].type);
               keptCounts_[place] = std::max(keptCounts_[place], ++counts[place]);
            }
         }
      auto next = static_cast<std::uint32_t>(module_.globals.size());
      for (std::size_t i = 0; i < std::size(KeptGlobals::types); ++i) {
         keptGlobals_.first[i] = next;
         next += static_cast<std::uint32_t>(keptCounts_[i]);
      }
      globals_ = next;
   }

   std::expected<Bytes, Rejection> run() {
      static constexpr std::uint8_t magic[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
      out_.raw(magic);
      types();
      imports();
      functions();
      tableAndMemory();
      globals();
      exports();
      elements();
      if (module_.dataCount) {
         Emitter section;
         section.u32(*module_.dataCount);
         out_.section(12, section);
      }
      if (auto rejected = bodies())
         return std::unexpected(*rejected);
      data();
      return std::move(out_.bytes);
   }

private:
   std::uint32_t function(std::uint32_t index) const { return hosts_.after(index); }
   bool marks() const { return twin_ && !twin_->marks.empty(); }

   void types() {
      Emitter section;
      section.u32(module_.types.size() + 2 + marks());
      for (const FunctionType& type : module_.types) {
         section.u8(0x60);
         section.u32(type.params.size() + 2);
         for (const ValueType param : type.params)
            section.u8(static_cast<unsigned>(param));
         section.u8(i32);
         section.u8(i64);
         section.u32(type.result ? 2 : 1);
         if (type.result)
            section.u8(static_cast<unsigned>(*type.result));
         section.u8(i64);
      }
      static constexpr std::uint8_t own[] = {0x60, 1, i64, 1, i64, 0x60, 0, 0};
      section.raw(own);
      static constexpr std::uint8_t markType[] = {0x60, 1, i32, 0};
      if (marks())
         section.raw(markType);
      out_.section(1, section);
   }

   void imports() {
      Emitter section;
      section.u32(imports_ + hosts_.count);
      auto add = [&](std::string_view module, std::string_view name, std::uint32_t type) {
         section.name(module);
         section.name(name);
         section.u8(0);
         section.u32(type);
      };
      for (const ParsedImport& import : module_.imports)
         add(import.module, import.name, import.type);
      const auto tickType = static_cast<std::uint32_t>(module_.types.size());
      add(metered::hostModule, metered::tick, tickType);
      add(metered::hostModule, metered::overflow, tickType + 1);
      add(metered::hostModule, metered::noMemory, tickType + 1);
      if (marks())
         add(metered::hostModule, metered::mark, tickType + 2);
      out_.section(2, section);
   }

   void functions() {
      Emitter section;
      section.u32(functions_.size() + hasReset());
      for (std::size_t i = 0; i < functions_.size(); ++i)
         section.u32(module_.functions[imports_ + i]);
      if (hasReset())
         section.u32(module_.types.size() + 1);
      out_.section(3, section);
   }

   void tableAndMemory() {
      if (module_.table) {
         Emitter section;
         section.u32(1);
         section.u8(op::funcref);
         section.u8(1);
         section.u32(module_.table->initial);
         section.u32(module_.table->initial); // nothing grows a table
         out_.section(4, section);
      }
      if (module_.memory) {
         Emitter section;
         section.u32(1);
         section.u8(1);
         section.u32(module_.memory->initial);
         section.u32(maxPages());
         out_.section(5, section);
      }
   }

   bool hasReset() const { return std::ranges::any_of(module_.globals, &ParsedGlobal::isMutable); }

   std::uint32_t maxPages() const {
      return module_.memory ? std::min({module_.memory->maximum.value_or(65536), options_.maxPages, 65536u}) : 0;
   }

   void globals() {
      Emitter section;
      section.u32(globals_);
      for (const ParsedGlobal& global : module_.globals) {
         section.u8(static_cast<unsigned>(global.type));
         section.u8(global.isMutable);
         section.raw(code_.subspan(global.initial.begin, global.initial.end - global.initial.begin));
      }
      for (std::size_t i = 0; i < std::size(KeptGlobals::types); ++i)
         for (std::size_t n = 0; n < keptCounts_[i]; ++n)
            keptGlobal(section, KeptGlobals::types[i]);
      out_.section(6, section);
   }

   /// Zero, until a loop keeps something there.
   static void keptGlobal(Emitter& section, ValueType type) {
      static constexpr std::uint8_t zeros[16] = {};
      section.u8(static_cast<unsigned>(type));
      section.u8(true);
      switch (type) {
      case ValueType::i32:
      case ValueType::i64:
         section.u8(type == ValueType::i32 ? op::i32Const : op::i64Const);
         section.u8(0);
         break;
      case ValueType::f32:
      case ValueType::f64:
         section.u8(type == ValueType::f32 ? op::f32Const : op::f64Const);
         section.raw(ByteView(zeros, sizeBytes(type)));
         break;
      case ValueType::v128:
         section.u8(op::prefixSimd);
         section.u8(12); // v128.const
         section.raw(zeros);
      }
      section.u8(op::end);
   }

   void exports() {
      Emitter section;
      section.u32(module_.memory.has_value() + hasReset() + module_.start.has_value() + module_.exports.size());
      if (module_.memory) {
         section.name(metered::memoryExport);
         section.u8(2);
         section.u32(0);
      }
      if (hasReset()) {
         section.name(metered::resetExport);
         section.u8(0);
         section.u32(imports_ + hosts_.count + functions_.size());
      }
      auto add = [&](std::string_view prefix, std::string_view name, std::uint32_t index) {
         section.u32(prefix.size() + name.size());
         section.raw(asBytes(prefix));
         section.raw(asBytes(name));
         section.u8(0);
         section.u32(function(index));
      };
      if (module_.start)
         add(metered::startExport, "", *module_.start);
      for (const ParsedExport& exported : module_.exports)
         add(metered::functionPrefix, exported.name, exported.function);
      out_.section(7, section);
   }

   void elements() {
      if (module_.elements.empty())
         return;
      Emitter section;
      section.u32(module_.elements.size());
      for (const ParsedElements& segment : module_.elements) {
         using Mode = ParsedElements::Mode;
         // With expressions: 4 active, 5 passive, 7 declared.
         section.u32(segment.mode == Mode::active ? 4 : segment.mode == Mode::passive ? 5 : 7);
         if (segment.mode == Mode::active) {
            section.u8(op::i32Const);
            section.s64(static_cast<std::int32_t>(segment.offset));
            section.u8(op::end);
         } else {
            section.u8(op::funcref);
         }
         section.u32(segment.functions.size());
         for (const auto& index : segment.functions) {
            if (index) {
               section.u8(op::refFunc);
               section.u32(function(*index));
            } else {
               section.u8(op::refNull);
               section.u8(op::funcref);
            }
            section.u8(op::end);
         }
      }
      out_.section(9, section);
   }

   std::optional<Rejection> bodies() {
      Emitter section, body, hints;
      std::vector<std::size_t> unlikely;
      std::size_t hinted = 0, placed = 0;
      section.u32(functions_.size() + hasReset());
      for (std::size_t i = 0; i < functions_.size(); ++i) {
         body.bytes.clear();
         unlikely.clear();
         FunctionMeter(functions_[i], module_.typeOf(static_cast<std::uint32_t>(imports_ + i)), module_.bodies[i],
                       code_, hosts_, keptGlobals_, maxPages(), body, unlikely, twin_)
             .run();
         if (body.bytes.size() > limits::meteredFunctionBytesMax)
            return Rejection{module_.bodies[i].begin, "a function is too large once metered"};
         section.u32(body.bytes.size());
         for (; twin_ && placed < twin_->places.size(); ++placed)
            twin_->places[placed].metered += static_cast<std::uint32_t>(section.bytes.size());
         section.raw(body.bytes);
         if (unlikely.empty())
            continue;
         ++hinted;
         hints.u32(imports_ + hosts_.count + i);
         hints.u32(unlikely.size());
         for (const std::size_t offset : unlikely) {
            hints.u32(offset);
            hints.u32(1);
            hints.u8(0);
         }
      }
      if (hasReset()) {
         body.bytes.clear();
         reset(body);
         section.u32(body.bytes.size());
         section.raw(body.bytes);
      }
      Emitter hintSection;
      hintSection.name("metadata.code.branch_hint");
      hintSection.u32(hinted);
      hintSection.raw(hints.bytes);
      out_.section(0, hintSection);
      out_.section(10, section);
      if (twin_)
         for (Twin::Place& place : twin_->places)
            place.metered += static_cast<std::uint32_t>(out_.bytes.size() - section.bytes.size());
      return std::nullopt;
   }

   void reset(Emitter& body) const {
      body.u32(0); // no locals
      for (std::size_t i = 0; i < module_.globals.size(); ++i) {
         const ParsedGlobal& global = module_.globals[i];
         if (!global.isMutable)
            continue;
         body.raw(
             code_.subspan(global.initial.begin, global.initial.end - 1 - global.initial.begin)); // without its end
         body.u8(op::globalSet);
         body.u32(i);
      }
      body.u8(op::end);
   }

   void data() {
      if (module_.data.empty())
         return;
      Emitter section;
      section.u32(module_.data.size());
      for (const ParsedData& segment : module_.data) {
         section.u32(segment.active ? 0 : 1);
         if (segment.active) {
            section.u8(op::i32Const);
            section.s64(static_cast<std::int32_t>(segment.offset));
            section.u8(op::end);
         }
         section.u32(segment.bytes.end - segment.bytes.begin);
         section.raw(code_.subspan(segment.bytes.begin, segment.bytes.end - segment.bytes.begin));
      }
      out_.section(11, section);
   }

   const ParsedModule& module_;
   const std::vector<FunctionFacts>& functions_;
   ByteView code_;
   const Options& options_;
   Twin* twin_;
   std::uint32_t imports_;
   HostPlace hosts_;
   KeptGlobals keptGlobals_;
   std::size_t keptCounts_[std::size(KeptGlobals::types)] = {};
   std::uint32_t globals_ = 0; ///< with those
   Emitter out_;
};

} // namespace

std::expected<Bytes, Rejection> meter(const CheckedModule& checked, ByteView code, const Options& options, Twin* twin) {
   return ModuleMeter(checked, code, options, twin).run();
}

std::uint32_t Twin::originOf(std::uint32_t metered) const {
   const auto after = std::ranges::upper_bound(places, metered, {}, &Place::metered);
   return after == places.begin() ? 0 : std::prev(after)->code;
}

} // namespace polis::vm
