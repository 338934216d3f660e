// A service for tests that does what its action tells it to: rawData is a list of steps, see program.hpp.
// Freestanding: no library, so that every import is one that the test asked for.

using u8 = unsigned char;
using u32 = unsigned;
using u64 = unsigned long long;

// Method numbers; test_chain.hpp checks them.
constexpr u64 methodRun = 8393046, methodKvNotify = 163643585648119, methodStartBlock = 246702608973408,
              methodVerifySys = 211547574510318;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern "C"
IMPORT(getResult) u32 getResult(u8*, u32, u32);
IMPORT(getKey) u32 getKey(u8*, u32);
IMPORT(writeConsole) void writeConsole(const u8*, u32);
IMPORT(abortMessage) void abortMessage(const u8*, u32);
IMPORT(getCurrentAction) u32 getCurrentAction();
IMPORT(call) u32 call(const u8*, u32, u64);
IMPORT(setRetval) void setRetval(const u8*, u32);
IMPORT(kvOpen) u32 kvOpen(u32, const u8*, u32, u32);
IMPORT(kvOpenAt) u32 kvOpenAt(u32, const u8*, u32, u32);
IMPORT(kvClose) void kvClose(u32);
IMPORT(exportHandles) void exportHandles(const u8*, u32);
IMPORT(importHandles) u32 importHandles();
IMPORT(kvPut) void kvPut(u32, const u8*, u32, const u8*, u32);
IMPORT(kvRemove) void kvRemove(u32, const u8*, u32);
IMPORT(kvGet) u32 kvGet(u32, const u8*, u32);
IMPORT(kvGreaterEqual) u32 kvGreaterEqual(u32, const u8*, u32, u32);
IMPORT(kvLessThan) u32 kvLessThan(u32, const u8*, u32, u32);
IMPORT(kvMax) u32 kvMax(u32, const u8*, u32);
IMPORT(clockTimeGet) u32 clockTimeGet(u32, u8*);
IMPORT(getRandom) void getRandom(u8*, u32);
IMPORT(setMaxCpuTime) void setMaxCpuTime(u64);
IMPORT(checkoutSubjective) void checkoutSubjective();
IMPORT(commitSubjective) u32 commitSubjective();
IMPORT(abortSubjective) void abortSubjective();
IMPORT(socketOpen) u32 socketOpen(const u8*, u32);
IMPORT(socketSend) u32 socketSend(u32, const u8*, u32, u32);
IMPORT(socketSetFlags) u32 socketSetFlags(u32, u32, u32);
IMPORT(readFile) u32 readFile(const u8*, u32);

extern "C" void* memcpy(void* to, const void* from, unsigned long n) {
   u8* t = static_cast<u8*>(to);
   const u8* f = static_cast<const u8*>(from);
   while (n--)
      *t++ = *f++;
   return to;
}
extern "C" void* memset(void* to, int value, unsigned long n) {
   u8* t = static_cast<u8*>(to);
   while (n--)
      *t++ = static_cast<u8>(value);
   return to;
}

namespace {

template <class T>
T load(const u8* at) {
   T out;
   __builtin_memcpy(&out, at, sizeof out);
   return out;
}

/// Never freed: an instance lives for one context.
u8* allocate(u32 bytes) {
   static u32 next = 0;
   if (next == 0)
      next = 1u << 20;
   const u32 at = next;
   next += (bytes + 15) & ~15u;
   while (__builtin_wasm_memory_size(0) * 65536ull < next)
      if (__builtin_wasm_memory_grow(0, 16) == static_cast<unsigned long>(-1))
         __builtin_trap();
   return reinterpret_cast<u8*>(at);
}

struct Text {
   u8* data;
   u32 size;
};

Text fetch(u32 size) {
   u8* data = allocate(size);
   getResult(data, size, 0);
   return {data, size};
}

u64 self;
u32 counter; // lives as long as the instance

struct Output {
   u8* data = allocate(1 << 16);
   u32 size = 0;
   void word(u32 value) { bytes4(reinterpret_cast<u8*>(&value), 4); }
   void text(const u8* from, u32 n) {
      word(n);
      bytes4(from, n);
   }
   void bytes4(const u8* from, u32 n) {
      memcpy(data + size, from, n);
      size += n;
   }
};

volatile u32 sink;
[[gnu::noinline]] u32 recurse(u32 n) {
   if (n == 0)
      return 1;
   const u32 below = recurse(n - 1);
   sink = below; // keeps it from becoming a loop
   return below + 1;
}

void run(const u8* program, u32 size, Text argument);

/// Bytes operand: a length and the bytes; length -1: the register.
struct Steps {
   const u8* at;
   const u8* end;
   Text& reg;
   u32 word() {
      const u32 out = load<u32>(at);
      at += 4;
      return out;
   }
   u64 wide() {
      const u64 out = load<u64>(at);
      at += 8;
      return out;
   }
   Text bytes() {
      const u32 n = word();
      if (n == ~0u)
         return reg;
      Text out{const_cast<u8*>(at), n};
      at += n;
      return out;
   }
};

/// Runs the program stored below this service's prefix under `method`, if there is one.
void runStored(u64 method, Text argument) {
   u8 prefix[8];
   for (int i = 0; i < 8; ++i)
      prefix[i] = static_cast<u8>(self >> (56 - 8 * i));
   const u32 handle = kvOpen(0, prefix, 8, 1);
   const u32 size = kvGet(handle, reinterpret_cast<u8*>(&method), 8);
   if (size == ~0u) {
      kvClose(handle);
      return;
   }
   const Text program = fetch(size);
   kvClose(handle);
   run(program.data, program.size, argument);
}

void run(const u8* program, u32 size, Text argument) {
   Output out;
   Text reg = argument;
   Steps s{program, program + size, reg};
   while (s.at < s.end) {
      switch (*s.at++) {
      case 1: { // kvOpen database prefix mode
         const u32 database = s.word();
         const Text prefix = s.bytes();
         out.word(kvOpen(database, prefix.data, prefix.size, s.word()));
         break;
      }
      case 2: {
         const u32 handle = s.word();
         const Text prefix = s.bytes();
         out.word(kvOpenAt(handle, prefix.data, prefix.size, s.word()));
         break;
      }
      case 3:
         kvClose(s.word());
         break;
      case 4: {
         const u32 handle = s.word();
         const Text key = s.bytes(), value = s.bytes();
         kvPut(handle, key.data, key.size, value.data, value.size);
         break;
      }
      case 5: {
         const u32 handle = s.word();
         const Text key = s.bytes();
         kvRemove(handle, key.data, key.size);
         break;
      }
      case 6: {
         const u32 handle = s.word();
         const Text key = s.bytes();
         const u32 n = kvGet(handle, key.data, key.size);
         out.word(n);
         if (n != ~0u) {
            const Text v = fetch(n);
            out.bytes4(v.data, v.size);
            reg = v;
         }
         break;
      }
      case 7:
      case 8:
      case 9: {
         const u8 which = s.at[-1];
         const u32 handle = s.word();
         const Text key = s.bytes();
         const u32 match = s.word();
         const u32 n = which == 7   ? kvGreaterEqual(handle, key.data, key.size, match)
                       : which == 8 ? kvLessThan(handle, key.data, key.size, match)
                                    : kvMax(handle, key.data, key.size);
         out.word(n);
         if (n != ~0u) {
            const Text v = fetch(n);
            out.bytes4(v.data, v.size);
            const u32 k = getKey(nullptr, 0);
            u8* found = allocate(k);
            getKey(found, k);
            out.text(found, k);
         }
         break;
      }
      case 10: { // call action flags
         const Text action = s.bytes();
         const u32 n = call(action.data, action.size, s.wide());
         out.word(n);
         const Text v = fetch(n);
         out.bytes4(v.data, v.size);
         reg = v;
         break;
      }
      case 11: {
         const Text t = s.bytes();
         writeConsole(t.data, t.size);
         break;
      }
      case 12: {
         const Text t = s.bytes();
         abortMessage(t.data, t.size);
         break;
      }
      case 13: {
         const Text t = s.bytes();
         exportHandles(t.data, t.size);
         break;
      }
      case 14: {
         const u32 n = importHandles();
         out.word(n);
         const Text v = fetch(n);
         out.bytes4(v.data, v.size);
         break;
      }
      case 15: {
         u8 time[8] = {};
         out.word(clockTimeGet(s.word(), time));
         out.bytes4(time, 8);
         break;
      }
      case 16: {
         u8 random[16] = {};
         getRandom(random, s.word());
         out.bytes4(random, 16);
         break;
      }
      case 17:
         setMaxCpuTime(s.wide());
         break;
      case 18:
         checkoutSubjective();
         break;
      case 19:
         out.word(commitSubjective());
         break;
      case 20:
         abortSubjective();
         break;
      case 21: {
         const Text t = s.bytes();
         out.word(socketOpen(t.data, t.size));
         break;
      }
      case 22: {
         const u32 fd = s.word();
         const Text t = s.bytes();
         out.word(socketSend(fd, t.data, t.size, s.word()));
         break;
      }
      case 23: {
         const u32 fd = s.word(), mask = s.word();
         out.word(socketSetFlags(fd, mask, s.word()));
         break;
      }
      case 24: {
         const Text t = s.bytes();
         out.word(readFile(t.data, t.size));
         break;
      }
      case 25:
         sink = recurse(s.word());
         break;
      case 26:
         for (;;)
            sink = sink + 1;
      case 27:
         __builtin_trap();
      case 28: // raw pointers, as given
      {
         const u32 pointer = s.word();
         writeConsole(reinterpret_cast<const u8*>(pointer), s.word());
         break;
      }
      case 29:
         out.word(++counter);
         break;
      case 30: { // current action
         const Text v = fetch(getCurrentAction());
         out.text(v.data, v.size);
         reg = v;
         break;
      }
      case 31: // the argument of a stored program
         out.text(argument.data, argument.size);
         reg = argument;
         break;
      case 32: { // slice of the register into the register
         const u32 from = s.word();
         const u32 n = s.word();
         reg = {reg.data + from, n};
         break;
      }
      case 33:
         out.word(static_cast<u32>(__builtin_wasm_memory_grow(0, s.word())));
         break;
      case 34: { // return these bytes, at once
         const Text t = s.bytes();
         setRetval(t.data, t.size);
         return;
      }
      case 35: // drop what was put out so far
         out.size = 0;
         break;
      case 36: { // getResult with a short buffer and an offset
         u8 part[4] = {0xEE, 0xEE, 0xEE, 0xEE};
         const u32 offset = s.word();
         out.word(getResult(part, s.word(), offset));
         out.bytes4(part, 4);
         break;
      }
      case 37: // jump back to the start of the program as long as the counter is below
         if (++counter < s.word())
            s.at = program;
         break;
      case 38:
         out.word(getKey(nullptr, 0));
         break;
      case 39: { // serve: reply on the socket named by the argument
         const Text t = s.bytes();
         out.word(socketSend(load<u32>(argument.data + 2), t.data, t.size, s.word()));
         break;
      }
      case 40: { // flags of the socket named by the argument
         const u32 mask = s.word();
         out.word(socketSetFlags(load<u32>(argument.data + 2), mask, s.word()));
         break;
      }
      default:
         __builtin_trap();
      }
   }
   setRetval(out.data, out.size);
}

constexpr u32 actionFixed = 30;

Text argumentOf(Text action) {
   return action.size <= actionFixed ? Text{action.data, 0} : Text{action.data + 34, action.size - 34};
}

} // namespace

extern "C" __attribute__((export_name("start"))) void start(u64 service) { self = service; }

extern "C" __attribute__((export_name("called"))) void called(u64, u64) {
   const Text action = fetch(getCurrentAction());
   const u64 method = load<u64>(action.data + 18);
   const Text argument = argumentOf(action);
   if (method == methodRun)
      return run(argument.data, argument.size, {nullptr, 0});
   if (method == methodKvNotify || method == methodStartBlock)
      return;
   if (method == methodVerifySys) { // a proof that begins with 'y' is good
      const u32 proof = 2 + 36 + load<u32>(argument.data + 2 + 36);
      if (load<u32>(argument.data + 2 + 36) == 0 || argument.data[proof + 4] != 'y')
         abortMessage(reinterpret_cast<const u8*>("bad proof"), 9);
      return;
   }
   runStored(method, argument);
}

/// Calls each action as its sender.
extern "C" __attribute__((export_name("processTransaction"))) void processTransaction() {
   const Text argument = argumentOf(fetch(getCurrentAction()));
   // {transaction}: u16 4, offset 4, length; Transaction: u16 23, tapos, offset of actions, offset of claims.
   const u8* transaction = argument.data + 10;
   const u8* slot = transaction + 2 + 15;
   if (load<u32>(slot) == 0)
      return;
   const u8* list = slot + load<u32>(slot);
   const u32 count = load<u32>(list) / 4;
   for (u32 i = 0; i < count; ++i) {
      const u8* offset = list + 4 + 4 * i;
      const u8* action = offset + load<u32>(offset);
      const u32 size = load<u32>(action + 26) == 0 ? actionFixed : 34 + load<u32>(action + 30);
      call(action, size, 0);
   }
}

extern "C" __attribute__((export_name("serve"))) void serve() { runStored(1, argumentOf(fetch(getCurrentAction()))); }
extern "C" __attribute__((export_name("recv"))) void recv() { runStored(2, argumentOf(fetch(getCurrentAction()))); }
extern "C" __attribute__((export_name("close"))) void close() { runStored(3, argumentOf(fetch(getCurrentAction()))); }
