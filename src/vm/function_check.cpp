#include "vm/function_check.hpp"

#include "vm/simple_ops.hpp"

#include <algorithm>

namespace polis::vm {
namespace {

constexpr std::uint8_t anyType = 0;
constexpr std::uint8_t i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c, v128 = 0x7b;

std::uint32_t bytesOf(std::uint8_t type) { return type == v128 ? 16 : type == i64 || type == f64 ? 8 : type ? 4 : 0; }

class Checker {
public:
   Checker(const ParsedModule& module, ByteView code, std::size_t index, CheckScratch& scratch)
      : module_(module), in_(code, module.bodies[index].begin, module.bodies[index].end),
        type_(module.typeOf(static_cast<std::uint32_t>(module.imports.size() + index))), frames_(scratch.frames),
        operands_(scratch.operands), locals_(scratch.locals) {
      frames_.clear();
      operands_.clear();
      locals_.clear();
   }

   std::expected<FunctionFacts, Rejection> run() {
      readLocals();
      if (in_.ok()) {
         facts_.codeBegin = in_.offset();
         facts_.segments.push_back({in_.offset(), 0, false});
         frames_.push_back({.opcode = op::block, .result = resultOf(type_)});
         while (in_.ok() && !frames_.empty())
            instruction();
         if (in_.ok() && !in_.atEnd())
            in_.fail("a function body goes on after its end");
      }
      if (!in_.ok())
         return std::unexpected(*in_.rejection());
      facts_.frameBytes = static_cast<std::uint32_t>(16 + localBytes_ + peak_);
      facts_.params = static_cast<std::uint32_t>(type_.params.size());
      facts_.branches = static_cast<std::uint32_t>(branches_);
      return std::move(facts_);
   }

private:
   using Frame = CheckScratch::Frame;

   static std::uint8_t resultOf(const FunctionType& type) {
      return type.result ? static_cast<std::uint8_t>(*type.result) : anyType;
   }

   void readLocals() {
      for (const ValueType type : type_.params)
         locals_.push_back(static_cast<std::uint8_t>(type));
      const std::uint32_t groups = in_.count(limits::localsMax, "too many locals");
      for (std::uint32_t i = 0; i < groups && in_.ok(); ++i) {
         const std::size_t at = in_.offset();
         const std::uint32_t n = in_.u32();
         const std::uint8_t type = in_.u8();
         if (!in_.ok())
            return;
         if (type < v128 || type > i32)
            return in_.fail(in_.offset() - 1, "invalid value type");
         if (n > limits::localsMax - locals_.size())
            return in_.fail(at, "too many locals");
         locals_.insert(locals_.end(), n, type);
         localBytes_ += std::uint64_t{n} * bytesOf(type);
         facts_.declaredLocals += n;
      }
   }

   // Operands and their accounting.

   bool counted() const { return !frames_.back().unreachable && !frames_.back().dead; }

   /// Something that the compiler's work grows with.
   void branch(std::size_t count = 1) {
      branches_ += count;
      if (branches_ > limits::branchesMax)
         in_.fail(at_, "a function has too many blocks, branches and calls");
      else if (branches_ * locals_.size() > limits::localsTimesBranchesMax)
         in_.fail(at_, "a function has too many locals for its blocks, branches and calls");
   }

   void push(std::uint8_t type) {
      operands_.push_back(type);
      if (!counted())
         return;
      running_ += bytesOf(type);
      if (running_ > peak_) {
         peak_ = running_;
         if (localBytes_ + peak_ > limits::frameBytesMax)
            in_.fail("a function's locals and operands exceed 128 MiB");
      }
   }

   std::uint8_t pop() {
      const Frame& frame = frames_.back();
      if (operands_.size() == frame.height) {
         if (!frame.unreachable)
            in_.fail(at_, "an operand is missing");
         return anyType;
      }
      const std::uint8_t type = operands_.back();
      operands_.pop_back();
      if (counted())
         running_ -= bytesOf(type);
      return type;
   }

   std::uint8_t pop(std::uint8_t expected) {
      const std::uint8_t got = pop();
      if (got != expected && got != anyType && expected != anyType)
         in_.fail(at_, "an operand has the wrong type");
      return got == anyType ? expected : got;
   }

   /// What is discarded here stays in the running count. Source: spec, kernel §4.7.
   void becomeUnreachable() {
      operands_.resize(frames_.back().height);
      frames_.back().unreachable = true;
   }

   // Cost.

   void charge(std::uint32_t cost) {
      if (counted())
         facts_.segments.back().cost += cost;
   }

   void startSegment(bool loop) { facts_.segments.push_back({in_.offset(), 0, loop}); }

   // Structure.

   void enter(std::uint8_t opcode) {
      branch();
      const std::uint8_t type = in_.u8();
      if (!in_.ok())
         return;
      if (type != op::emptyBlock && (type < v128 || type > i32))
         return in_.fail(in_.offset() - 1, "blocks take no parameters and give at most one result");
      if (opcode == op::if_)
         pop(i32);
      if (frames_.size() >= limits::nestingMax)
         return in_.fail(at_, "blocks are nested too deeply");
      const bool dead = !counted();
      frames_.push_back({.opcode = opcode,
                         .result = type == op::emptyBlock ? anyType : type,
                         .dead = dead,
                         .height = operands_.size()});
      if (opcode != op::block)
         startSegment(opcode == op::loop);
      if (opcode == op::loop) {
         used_.clear();
         loop_ = facts_.segments.size() - 1;
      }
   }

   /// A local is used, perhaps in an innermost loop.
   void use(std::uint32_t index) {
      if (loop_ == none || std::ranges::find(used_, index, &KeptLocal::local) != used_.end())
         return;
      if (used_.size() == keptLocalsMax)
         loop_ = none;
      else
         used_.push_back({index, static_cast<ValueType>(locals_[index])});
   }

   void leaveLoop() {
      if (loop_ == none)
         return;
      Segment& segment = facts_.segments[loop_];
      segment.keptBegin = static_cast<std::uint32_t>(facts_.kept.size());
      segment.keptCount = static_cast<std::uint32_t>(used_.size());
      facts_.kept.insert(facts_.kept.end(), used_.begin(), used_.end());
      for (const KeptLocal& kept : used_) // read back, and where it meets what was there
         for (int i = 0; i < 2; ++i)
            value(static_cast<std::uint8_t>(kept.type));
      loop_ = none;
   }

   /// Ends an arm: its result is there, and nothing else.
   void closeArm() {
      Frame& frame = frames_.back();
      if (frame.result)
         pop(frame.result);
      if (in_.ok() && operands_.size() != frame.height)
         in_.fail(at_, "a block leaves operands behind");
   }

   void elseArm() {
      if (frames_.back().opcode != op::if_)
         return in_.fail(at_, "else without if");
      closeArm();
      frames_.back().opcode = op::else_;
      frames_.back().unreachable = false;
      startSegment(false);
   }

   void leave() {
      closeArm();
      const Frame frame = frames_.back();
      if (frame.opcode == op::if_ && frame.result)
         return in_.fail(at_, "an if with a result needs an else");
      frames_.pop_back();
      if (frame.opcode == op::loop)
         leaveLoop();
      if (frames_.empty())
         return;
      if (frame.result)
         push(frame.result);
      if (frame.opcode != op::block || frame.targeted || frame.unreachable)
         startSegment(false);
   }

   /// Type that a branch to the label carries; 0: none.
   std::uint8_t label(std::uint32_t depth) {
      if (depth >= frames_.size()) {
         in_.fail(at_, "unknown label");
         return anyType;
      }
      Frame& frame = frames_[frames_.size() - 1 - depth];
      if (frame.opcode == op::loop)
         return anyType;
      frame.targeted = true;
      return frame.result;
   }

   /// The operand a branch carries must be there; it stays.
   void carry(std::uint8_t type) {
      if (type)
         push(pop(type));
   }

   void branchTable() {
      const std::uint32_t n = in_.count(limits::branchTableMax, "a branch table is too large");
      branch(std::size_t{n} + 1);
      pop(i32);
      bool firstCarries = false;
      for (std::uint32_t i = 0; i <= n && in_.ok(); ++i) {
         const std::uint8_t type = label(in_.u32());
         if (i == 0)
            firstCarries = type != anyType;
         else if (firstCarries != (type != anyType))
            in_.fail(at_, "the labels of a branch table differ in what they carry");
         if (!type)
            continue;
         // In unreachable code one operand may stand for several types, so it goes back as it was.
         const std::uint8_t operand = pop();
         if (operand != type && operand != anyType)
            in_.fail(at_, "an operand has the wrong type");
         push(operand);
      }
      charge(costBranchTable);
      becomeUnreachable();
   }

   void callFunction(const FunctionType& type) {
      facts_.calls = true;
      loop_ = none;
      branch();
      for (auto it = type.params.rbegin(); it != type.params.rend(); ++it)
         pop(static_cast<std::uint8_t>(*it));
      if (type.result)
         push(static_cast<std::uint8_t>(*type.result));
   }

   std::uint8_t local() {
      const std::uint32_t index = in_.u32();
      if (index < locals_.size()) {
         use(index);
         return locals_[index];
      }
      in_.fail(at_, "unknown local");
      return anyType;
   }

   void memoryMust() {
      if (!module_.memory)
         in_.fail(at_, "unknown memory");
   }

   void memoryArgument(unsigned alignMax) {
      memoryMust();
      const std::size_t at = in_.offset();
      if (in_.u32() > alignMax)
         in_.fail(at, "alignment exceeds the natural one");
      in_.u32();
   }

   void zeroByte() {
      if (in_.u8() != 0)
         in_.fail(in_.offset() - 1, "a reserved byte is not zero");
   }

   void dataIndex() {
      const std::uint32_t index = in_.u32();
      if (!module_.dataCount)
         in_.fail(at_, "data segments are named without a data count section");
      else if (index >= *module_.dataCount)
         in_.fail(at_, "unknown data segment");
   }

   void elementIndex() {
      if (in_.u32() >= module_.elements.size())
         in_.fail(at_, "unknown element segment");
   }

   void tableMust() {
      if (!module_.table)
         in_.fail(at_, "unknown table");
   }

   void bulk() {
      pop(i32);
      pop(i32);
      pop(i32);
      facts_.needsTemps = true;
      charge(costBulk);
   }

   /// A value that native code may keep.
   void value(std::uint8_t type) { facts_.valueBytes += type == i32 || type == i64 ? 8 : 16; }

   void simple(const SimpleOp& o) {
      if (o.memory)
         value(i64); // its address
      if (o.result)
         value(o.result);
      for (std::uint8_t i = o.paramCount; i > 0; --i)
         pop(o.params[i - 1]);
      if (o.result)
         push(o.result);
      charge(o.cost);
   }

   void misc() {
      const std::uint32_t code = in_.u32();
      if (!in_.ok())
         return;
      switch (code) {
      case 8: // memory.init
         memoryMust();
         dataIndex();
         zeroByte();
         return bulk();
      case 9: // data.drop
         dataIndex();
         facts_.changesTables = true;
         return charge(1);
      case 10: // memory.copy
         memoryMust();
         zeroByte();
         zeroByte();
         return bulk();
      case 11: // memory.fill
         memoryMust();
         zeroByte();
         return bulk();
      case 12: // table.init
         elementIndex();
         facts_.changesTables = true;
         tableMust();
         zeroByte();
         return bulk();
      case 13: // elem.drop
         elementIndex();
         facts_.changesTables = true;
         return charge(1);
      case 14: // table.copy
         facts_.changesTables = true;
         tableMust();
         zeroByte();
         zeroByte();
         return bulk();
      default:
         if (code < 8)
            return simple(truncateSaturating(code));
         in_.fail(at_, code <= 17 ? "reference types are not allowed" : "unknown instruction");
      }
   }

   void simd() {
      const std::uint32_t code = in_.u32();
      if (!in_.ok())
         return;
      const SimdOp* o = simdOp(code);
      if (!o)
         return in_.fail(at_, code >= 256 && code < 512 ? "relaxed SIMD is not allowed" : "unknown instruction");
      switch (o->immediate) {
      case SimdImmediate::none:
         break;
      case SimdImmediate::memory:
         memoryArgument(o->limit);
         break;
      case SimdImmediate::memoryLane:
         memoryArgument(o->limit);
         lane(16u >> o->limit);
         break;
      case SimdImmediate::lane:
         lane(o->limit);
         break;
      case SimdImmediate::constant:
         in_.take(16);
         break;
      case SimdImmediate::shuffle:
         for (int i = 0; i < 16; ++i)
            lane(32);
         break;
      }
      simple(o->op);
   }

   void lane(unsigned count) {
      if (in_.u8() >= count)
         in_.fail(in_.offset() - 1, "invalid lane");
   }

   void instruction() {
      at_ = in_.offset();
      const std::uint8_t code = in_.u8();
      if (!in_.ok())
         return;
      switch (code) {
      case op::unreachable:
         charge(1);
         return becomeUnreachable();
      case op::nop:
         return;
      case op::block:
      case op::loop:
         return enter(code);
      case op::if_:
         charge(1);
         return enter(code);
      case op::else_:
         return elseArm();
      case op::end:
         return leave();
      case op::br:
         branch();
         charge(1);
         carry(label(in_.u32()));
         return becomeUnreachable();
      case op::brIf: {
         branch();
         pop(i32);
         charge(1);
         const std::uint32_t depth = in_.u32();
         carry(label(depth));
         if (in_.ok() && frames_[frames_.size() - 1 - depth].opcode == op::loop)
            startSegment(false);
         return;
      }
      case op::brTable:
         return branchTable();
      case op::return_:
         charge(1);
         carry(frames_.front().result);
         return becomeUnreachable();
      case op::call: {
         const std::uint32_t index = in_.u32();
         if (index >= module_.functions.size())
            return in_.fail(at_, "unknown function");
         callFunction(module_.typeOf(index));
         return charge(costCall);
      }
      case op::callIndirect: {
         const std::uint32_t index = in_.u32();
         if (in_.ok() && index >= module_.types.size())
            return in_.fail(at_, "unknown type");
         zeroByte();
         tableMust();
         pop(i32);
         if (!in_.ok())
            return;
         facts_.needsTemps = true;
         callFunction(module_.types[index]);
         return charge(costCallIndirect);
      }
      case op::drop:
         pop();
         return;
      case op::select: {
         pop(i32);
         const std::uint8_t a = pop();
         const std::uint8_t b = pop();
         if (a != b && a != anyType && b != anyType)
            return in_.fail(at_, "the operands of select differ in type");
         push(a == anyType ? b : a);
         return charge(1);
      }
      case op::selectTyped:
         return in_.fail(at_, "select with a type is not allowed");
      case op::localGet:
         return push(local());
      case op::localSet:
         pop(local());
         return;
      case op::localTee: {
         const std::uint8_t type = local();
         pop(type);
         return push(type);
      }
      case op::globalGet:
      case op::globalSet: {
         const std::uint32_t index = in_.u32();
         if (index >= module_.globals.size())
            return in_.fail(at_, "unknown global");
         const ParsedGlobal& global = module_.globals[index];
         charge(1);
         if (code == op::globalGet)
            return push(static_cast<std::uint8_t>(global.type));
         if (!global.isMutable)
            return in_.fail(at_, "an immutable global is set");
         pop(static_cast<std::uint8_t>(global.type));
         return;
      }
      case op::memorySize:
         memoryMust();
         zeroByte();
         charge(1);
         return push(i32);
      case op::memoryGrow:
         memoryMust();
         zeroByte();
         pop(i32);
         push(i32);
         facts_.needsTemps = true;
         return charge(costGrow);
      case op::i32Const:
         in_.s32();
         return push(i32);
      case op::i64Const:
         in_.s64();
         return push(i64);
      case op::f32Const:
         in_.take(4);
         return push(f32);
      case op::f64Const:
         in_.take(8);
         return push(f64);
      case op::prefixMisc:
         return misc();
      case op::prefixSimd:
         return simd();
      default:
         break;
      }
      const SimpleOp& o = simpleOp(code);
      if (!o.valid)
         return in_.fail(at_, code == op::refNull || code == op::refFunc || code == 0xd1 || code == 0x25 || code == 0x26
                                  ? "reference types are not allowed"
                              : code == 0x12 || code == 0x13 ? "tail calls are not allowed"
                              : code == 0xfe                 ? "threads are not allowed"
                              : (code >= 0x06 && code <= 0x0a) || code == 0x18 || code == 0x19 || code == 0x1f
                                  ? "exceptions are not allowed"
                                  : "unknown instruction");
      if (o.memory)
         memoryArgument(o.alignMax);
      simple(o);
   }

   const ParsedModule& module_;
   Reader in_;
   const FunctionType& type_;
   std::vector<Frame>& frames_;
   std::vector<std::uint8_t>& operands_;
   std::vector<std::uint8_t>& locals_;
   FunctionFacts facts_;
   std::size_t at_ = 0; ///< of the instruction being checked
   std::uint64_t localBytes_ = 0;
   std::uint64_t running_ = 0, peak_ = 0;
   std::size_t branches_ = 0;
   static constexpr std::size_t none = ~std::size_t{0};
   std::size_t loop_ = none;     ///< segment of the innermost loop begun, while it holds no other and no call
   std::vector<KeptLocal> used_; ///< in it so far
};

} // namespace

std::expected<FunctionFacts, Rejection> checkFunction(const ParsedModule& module, ByteView code, std::size_t index,
                                                      CheckScratch& scratch) {
   return Checker(module, code, index, scratch).run();
}

} // namespace polis::vm
