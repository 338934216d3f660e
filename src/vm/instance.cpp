#include "vm/instance.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "vm/module_body.hpp"
#include "vm/native_stack.hpp"

#include <algorithm>
#include <cstring>

namespace polis::vm {

std::string takeMessage(wasmtime_error_t* error) {
   Owned<wasmtime_error_t> owned(error);
   wasm_byte_vec_t text;
   wasmtime_error_message(error, &text);
   std::string out(text.data, text.size);
   wasm_byte_vec_delete(&text);
   return out;
}

std::int64_t openSlice(Budget& budget) {
   std::int64_t left = -1; // looked at as soon as the guest goes on
   if (!budget.interrupted.load(std::memory_order_relaxed)) {
      const std::uint64_t limit = std::min(budget.instructionLimit, Budget::unlimited);
      if (budget.instructions <= limit)
         left = static_cast<std::int64_t>(std::min(limit - budget.instructions, Budget::sliceInstructions));
   }
   budget.sliceEnd = budget.instructions + static_cast<std::uint64_t>(left);
   return left;
}

// Host functions.

namespace {

InstanceBody& bodyOf(wasmtime_caller_t* caller) {
   return *static_cast<InstanceBody*>(wasmtime_context_get_data(wasmtime_caller_context(caller)));
}

} // namespace

wasm_trap_t* InstanceBody::stop(TrapKind kind) {
   hostTrap = kind;
   return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
}

wasm_trap_t* enterHost(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t) {
   const auto& bound = *static_cast<const BoundFunction*>(env);
   InstanceBody& body = bodyOf(caller);
   Budget& budget = *body.budget;
   Value args[hostParamsMax];
   for (std::uint32_t i = 0; i < bound.params; ++i)
      args[i].i64 = static_cast<std::uint64_t>(values[i].i64);
   budget.stackBytes = static_cast<std::uint32_t>(values[bound.params].i32);
   closeSlice(budget, values[bound.params + 1].i64);
   Value result{};
   CallContext context(body, budget, body.user);
   try {
      bound.function.body(context, args, &result);
   } catch (const TrapException& e) {
      return body.stop(e.trap.kind);
   } catch (...) {
      body.thrown = std::current_exception();
      return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
   }
   std::size_t at = 0;
   if (bound.function.type.result)
      values[at++].i64 = static_cast<std::int64_t>(result.i64);
   values[at].i64 = openSlice(budget);
   return nullptr;
}

wasm_trap_t* enterTick(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t) {
   InstanceBody& body = bodyOf(caller);
   closeSlice(*body.budget, values[0].i64);
   if (body.budget->interrupted.load(std::memory_order_relaxed))
      return body.stop(TrapKind::interrupted);
   if (body.budget->instructions > body.budget->instructionLimit)
      return body.stop(TrapKind::instructionLimit);
   values[0].i64 = openSlice(*body.budget);
   return nullptr;
}

wasm_trap_t* enterOverflow(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t*, std::size_t) {
   InstanceBody& body = bodyOf(caller);
   body.budget->instructions = std::max(body.budget->instructions, body.budget->sliceEnd);
   return body.stop(TrapKind::stackOverflow);
}

wasm_trap_t* enterNoMemory(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t*, std::size_t) {
   bodyOf(caller).thrown = std::make_exception_ptr(Fault("cannot grow the memory of a service: out of memory"));
   return wasmtime_trap_new_code(WASMTIME_TRAP_CODE_INTERRUPT);
}

wasm_trap_t* enterMark(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t) {
   ++bodyOf(caller).module->body().twin->counts[static_cast<std::uint32_t>(values[0].i32)];
   return nullptr;
}

// Guest memory.

std::uint64_t InstanceBody::memoryBytes() {
   if (memoryData_)
      memoryBytes_ = wasmtime_memory_data_size(context_, &memory_);
   return memoryBytes_;
}

std::uint8_t* InstanceBody::span(std::uint32_t pointer, std::uint32_t bytes) {
   const std::uint64_t end = std::uint64_t{pointer} + bytes;
   if (end > memoryBytes_ && end > memoryBytes())
      throw TrapException{{TrapKind::memoryOutOfBounds}};
   return memoryData_ + pointer;
}

std::uint8_t* InstanceBody::writableSpan(std::uint32_t pointer, std::uint32_t bytes) {
   std::uint8_t* at = span(pointer, bytes);
   written_.willWrite(at, bytes);
   return at;
}

GuestSpan GuestMemory::read(std::uint32_t pointer, std::uint32_t bytes) const {
   return {body_.span(pointer, bytes), bytes};
}

MutableGuestSpan GuestMemory::write(std::uint32_t pointer, std::uint32_t bytes) const {
   return {body_.writableSpan(pointer, bytes), bytes};
}

void GuestMemory::copyTo(std::uint32_t pointer, ByteView bytes) const {
   if (bytes.size() > 0xffffffff)
      throw TrapException{{TrapKind::memoryOutOfBounds}};
   std::uint8_t* to = body_.writableSpan(pointer, static_cast<std::uint32_t>(bytes.size()));
   if (!bytes.empty())
      std::memmove(to, bytes.data(), bytes.size());
}

void GuestMemory::storeU64(std::uint32_t pointer, std::uint64_t value) const {
   static_assert(std::endian::native == std::endian::little);
   std::memcpy(body_.writableSpan(pointer, sizeof value), &value, sizeof value);
}

std::uint64_t GuestMemory::sizeBytes() const { return body_.memoryBytes(); }

// Instances.

InstanceBody::InstanceBody(const ModuleBody& made)
   : store_(wasmtime_store_new(made.engine, this, nullptr)), context_(wasmtime_store_context(store_.get())) {
   wasm_trap_t* trap = nullptr;
   wasmtime_error_t* error = wasmtime_instance_pre_instantiate(made.prepared.get(), context_, &instance_, &trap);
   if (trap) {
      // Segments were checked to fit, and the start section is not run here.
      wasm_trap_delete(trap);
      throw Fault("cannot make an instance of a service");
   }
   if (error)
      throw Fault("cannot make an instance of a service: " + takeMessage(error));
   if (made.facts.hasMemory) {
      wasmtime_extern_t item;
      char* name = nullptr;
      std::size_t nameBytes = 0;
      ASSERT(wasmtime_instance_export_nth(context_, &instance_, 0, &name, &nameBytes, &item));
      ASSERT(item.kind == WASMTIME_EXTERN_MEMORY);
      memory_ = item.of.memory;
      memoryData_ = wasmtime_memory_data(context_, &memory_);
      memoryBytes_ = std::uint64_t{made.facts.initialPages} << 16;
   }
   if (made.worthWatching())
      watched_ = written_.watch(memoryData_, memoryBytes_, made.expectedPages());
}

InstanceBody::~InstanceBody() { written_.unwatch(); }

void InstanceBody::lend(std::shared_ptr<const Module> owner, Budget& budgetOfContext, void* userOfContext) {
   module = std::move(owner);
   budget = &budgetOfContext;
   user = userOfContext;
}

bool InstanceBody::makeFresh() {
   const std::shared_ptr<const Module> owner = std::exchange(module, nullptr);
   ModuleBody& made = owner->body();
   budget = nullptr;
   user = nullptr;
   thrown = nullptr;
   hostTrap.reset();
   if (!watched_)
      return false;
   if (written_.lostTrack() || memoryBytes() != std::uint64_t{made.facts.initialPages} << 16) {
      made.sawFresh(false);
      return false;
   }
   made.sawFresh(true);
   made.sawPages(written_.pages());
   written_.restore(made.image, made.imageAt);
   if (made.hasReset) {
      wasm_trap_t* trap = nullptr;
      wasmtime_val_raw_t none;
      wasmtime_error_t* error =
          wasmtime_func_call_unchecked(context_, &function(made.facts.hasMemory ? 1 : 0), &none, 0, &trap);
      ASSERT(!error && !trap);
   }
   return true;
}

const wasmtime_func_t& InstanceBody::function(std::uint32_t exported) {
   for (const CachedFunction& cached : functions_)
      if (cached.exported == exported)
         return cached.function;
   wasmtime_extern_t item;
   char* name = nullptr;
   std::size_t nameBytes = 0;
   ASSERT(wasmtime_instance_export_nth(context_, &instance_, exported, &name, &nameBytes, &item));
   ASSERT(item.kind == WASMTIME_EXTERN_FUNC);
   return functions_.emplace_back(CachedFunction{exported, item.of.func}).function;
}

namespace {

TrapKind kindOf(const wasm_trap_t* trap) {
   wasmtime_trap_code_t code = 0;
   if (!wasmtime_trap_code(trap, &code))
      throw Fault("guest code stopped for no known reason");
   switch (code) {
   case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return TrapKind::unreachable;
   case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return TrapKind::memoryOutOfBounds;
   case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return TrapKind::callOutOfRange;
   case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
   case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return TrapKind::callWrongType;
   case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
   case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
   case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return TrapKind::floatingPoint;
   case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      throw Fault("the native stack ran out before the accounted one"); // no verdict: see native_stack.hpp
   default:
      throw Fault("guest code stopped for an unknown reason: " + std::to_string(code));
   }
}

} // namespace

std::expected<void, Trap> InstanceBody::run(std::uint32_t exported, std::span<wasmtime_val_raw_t> values,
                                            bool hasResult) {
   requireNativeStack(nativeGuestStackBytes);
   const std::uint32_t stackBytes = budget->stackBytes;
   values[values.size() - 2].i64 = stackBytes;
   values[values.size() - 1].i64 = openSlice(*budget);
   const wasmtime_func_t callee = function(exported);
   const WrittenPages::Active active(written_);
   wasm_trap_t* rawTrap = nullptr;
   wasmtime_error_t* error = wasmtime_func_call_unchecked(context_, &callee, values.data(), values.size(), &rawTrap);
   budget->stackBytes = stackBytes;
   if (error) [[unlikely]]
      throw Fault("cannot call guest code: " + takeMessage(error));
   if (!rawTrap) {
      closeSlice(*budget, values[hasResult].i64);
      return {};
   }
   const Owned<wasm_trap_t> trap(rawTrap);
   if (const Twin* twin = module->body().twin.get())
      tellStopped(*twin, trap.get());
   if (thrown)
      std::rethrow_exception(std::exchange(thrown, nullptr));
   if (hostTrap)
      return std::unexpected(Trap{*std::exchange(hostTrap, std::nullopt)});
   // The guest stopped within its slice; where, nobody recorded: all of it counts.
   budget->instructions = std::max(budget->instructions, budget->sliceEnd);
   return std::unexpected(Trap{kindOf(trap.get())});
}

void InstanceBody::tellStopped(const Twin& twin, const wasm_trap_t* trap) const {
   wasm_frame_vec_t frames;
   wasm_trap_trace(trap, &frames);
   std::vector<std::uint32_t> offsets;
   for (std::size_t i = 0; i < frames.size; ++i)
      if (const std::uint32_t at = twin.originOf(static_cast<std::uint32_t>(wasm_frame_module_offset(frames.data[i]))))
         offsets.push_back(at);
   wasm_frame_vec_delete(&frames);
   if (twin.stopped)
      twin.stopped(offsets);
}

Instance::~Instance() {
   if (!body_)
      return;
   std::unique_ptr<InstanceBody> body(body_);
   const std::shared_ptr<const Module> module = body->module; // outlives the instance
   if (body->makeFresh())
      module->body().keepIdle(body);
}

const Module& Instance::module() const { return *body_->module; }

std::expected<void, Trap> Instance::runStartSection() {
   const ModuleFacts& facts = body_->module->facts();
   if (!facts.hasStart)
      return {};
   wasmtime_val_raw_t values[2];
   return body_->run(body_->module->body().startExport, values, false);
}

std::expected<void, Trap> Instance::call(std::string_view name, std::span<const ValueType> types,
                                         std::span<const Value> args, Value* result) {
   ASSERT(types.size() == args.size());
   const ModuleBody& module = body_->module->body();
   const auto index = module.findExport(name);
   if (!index)
      return std::unexpected(Trap{TrapKind::missingExport});
   const FunctionType& type = module.facts.exports[*index].type;
   if (!std::ranges::equal(type.params, types) || std::ranges::find(type.params, ValueType::v128) != type.params.end())
      return std::unexpected(Trap{TrapKind::wrongExportType});
   constexpr std::size_t few = 8;
   wasmtime_val_raw_t fewValues[few];
   std::vector<wasmtime_val_raw_t> manyValues;
   std::span<wasmtime_val_raw_t> values(fewValues, std::min(few, args.size() + 2));
   if (args.size() + 2 > few) {
      manyValues.resize(args.size() + 2);
      values = manyValues;
   }
   for (std::size_t i = 0; i < args.size(); ++i)
      values[i].i64 = static_cast<std::int64_t>(args[i].i64);
   auto done = body_->run(module.firstFunctionExport + *index, values, type.result.has_value());
   if (done && type.result && result)
      result->i64 = static_cast<std::uint64_t>(values[0].i64);
   return done;
}

std::expected<void, Trap> Instance::call(std::string_view name, std::initializer_list<std::uint64_t> args) {
   static constexpr ValueType types[] = {ValueType::i64, ValueType::i64, ValueType::i64, ValueType::i64};
   Value values[std::size(types)];
   ASSERT(args.size() <= std::size(types));
   std::size_t n = 0;
   for (const std::uint64_t arg : args)
      values[n++] = Value::of(arg);
   return call(name, std::span(types, n), std::span<const Value>(values, n));
}

} // namespace polis::vm
