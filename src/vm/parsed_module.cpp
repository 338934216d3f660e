#include "vm/parsed_module.hpp"

#include <algorithm>
#include <unordered_set>

namespace polis::vm {
namespace {

bool isValueType(std::uint8_t byte) { return byte >= 0x7b && byte <= 0x7f; }

class Parser {
public:
   Parser(ByteView code, const Options& options) : code_(code), options_(options), in_(code) {}

   std::expected<ParsedModule, Rejection> run() {
      if (code_.size() > limits::moduleBytesMax)
         return std::unexpected(Rejection{0, "the module is too large"});
      static constexpr std::uint8_t magic[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
      const ByteView head = in_.take(sizeof magic);
      if (!in_.ok() || !std::ranges::equal(head, magic))
         return std::unexpected(Rejection{0, "not a WebAssembly module of version 1"});
      unsigned last = 0;
      while (in_.ok() && !in_.atEnd())
         section(last);
      finish();
      if (!in_.ok())
         return std::unexpected(*in_.rejection());
      return std::move(out_);
   }

private:
   /// Place of a section in the order that the format wants.
   static unsigned rank(unsigned id) { return id == 12 ? 10 : id >= 10 ? id + 1 : id; }

   void section(unsigned& last) {
      const std::size_t start = in_.offset();
      const unsigned id = in_.u8();
      const std::uint32_t size = in_.u32();
      if (!in_.ok())
         return;
      if (size > in_.left())
         return in_.fail(start, "a section exceeds the module");
      const std::size_t begin = in_.offset();
      if (id == 0) {
         Reader custom(code_, begin, begin + size);
         custom.name();
         in_.take(size);
         if (!custom.ok())
            in_.fail(custom.rejection()->offset, custom.rejection()->rule);
         return;
      }
      if (id > 12)
         return in_.fail(start, "unknown section");
      if (rank(id) <= last)
         return in_.fail(start, "a section is out of order or repeated");
      last = rank(id);
      Reader outer = in_;
      in_ = Reader(code_, begin, begin + size);
      contents(id);
      if (in_.ok() && !in_.atEnd())
         in_.fail("a section is longer than its contents");
      outer.take(size);
      if (in_.ok())
         in_ = outer;
   }

   void contents(unsigned id) {
      switch (id) {
      case 1:
         return types();
      case 2:
         return imports();
      case 3:
         return functions();
      case 4:
         return table();
      case 5:
         return memory();
      case 6:
         return globals();
      case 7:
         return exports();
      case 8:
         return start();
      case 9:
         return elements();
      case 10:
         return bodies();
      case 11:
         return data();
      case 12:
         out_.dataCount = in_.u32();
         return;
      default:
         return;
      }
   }

   std::uint32_t items() { return in_.count(limits::itemsMax, "too many items in a section"); }

   ValueType valueType() {
      const std::uint8_t byte = in_.u8();
      if (in_.ok() && !isValueType(byte))
         in_.fail(in_.offset() - 1,
                  byte == 0x70 || byte == 0x6f ? "reference types are not allowed" : "invalid value type");
      return static_cast<ValueType>(byte);
   }

   void types() {
      for (std::uint32_t n = items(); n && in_.ok(); --n) {
         if (in_.u8() != 0x60)
            return in_.fail(in_.offset() - 1, "only function types are allowed");
         FunctionType type;
         for (std::uint32_t i = in_.count(limits::paramsMax, "too many parameters"); i && in_.ok(); --i)
            type.params.push_back(valueType());
         const std::size_t at = in_.offset();
         const std::uint32_t results = in_.u32();
         if (results > 1)
            return in_.fail(at, "functions with several results are not allowed");
         if (results)
            type.result = valueType();
         out_.types.push_back(std::move(type));
      }
   }

   std::uint32_t typeIndex() {
      const std::size_t at = in_.offset();
      const std::uint32_t index = in_.u32();
      if (in_.ok() && index >= out_.types.size()) {
         in_.fail(at, "unknown type");
         return 0;
      }
      return index;
   }

   void imports() {
      for (std::uint32_t n = items(); n && in_.ok(); --n) {
         ParsedImport import;
         import.offset = in_.offset();
         import.module = in_.name();
         import.name = in_.name();
         const std::uint8_t kind = in_.u8();
         if (!in_.ok())
            return;
         if (kind != 0)
            return in_.fail(in_.offset() - 1, "only functions may be imported");
         import.type = typeIndex();
         out_.functions.push_back(import.type);
         out_.imports.push_back(import);
      }
   }

   void functions() {
      const std::uint32_t n = in_.count(limits::functionsMax, "too many functions");
      for (std::uint32_t i = 0; i < n && in_.ok(); ++i)
         out_.functions.push_back(typeIndex());
      declared_ = n;
   }

   ParsedLimits limits_() {
      const std::uint8_t flags = in_.u8();
      if (in_.ok() && flags > 1)
         in_.fail(in_.offset() - 1, flags & 2 ? "shared memories are not allowed" : "64-bit memories are not allowed");
      ParsedLimits out;
      const std::size_t at = in_.offset();
      out.initial = in_.u32();
      if (flags & 1) {
         out.maximum = in_.u32();
         if (in_.ok() && *out.maximum < out.initial)
            in_.fail(at, "a maximum is below the initial size");
      }
      return out;
   }

   void table() {
      const std::size_t at = in_.offset();
      const std::uint32_t n = in_.u32();
      if (n > 1)
         return in_.fail(at, "more than one table is not allowed");
      if (!n)
         return;
      if (in_.u8() != op::funcref)
         return in_.fail(in_.offset() - 1, "tables hold functions only");
      const std::size_t sizeAt = in_.offset();
      out_.table = limits_();
      if (in_.ok() && out_.table->initial > options_.maxTableElements)
         in_.fail(sizeAt, "the table exceeds the limit of elements");
   }

   void memory() {
      const std::size_t at = in_.offset();
      const std::uint32_t n = in_.u32();
      if (n > 1)
         return in_.fail(at, "more than one memory is not allowed");
      if (!n)
         return;
      const std::size_t sizeAt = in_.offset();
      out_.memory = limits_();
      if (!in_.ok())
         return;
      if (out_.memory->initial > 65536 || out_.memory->maximum.value_or(0) > 65536)
         return in_.fail(sizeAt, "a memory has at most 65536 pages");
      if (out_.memory->initial > options_.maxPages)
         in_.fail(sizeAt, "the memory exceeds the limit of pages");
   }

   /// A constant of the type; returns its low 32 bits.
   std::uint32_t constant(ValueType type) {
      const std::size_t at = in_.offset();
      const std::uint8_t code = in_.u8();
      std::uint32_t value = 0;
      ValueType got{};
      switch (code) {
      case op::i32Const:
         got = ValueType::i32, value = static_cast<std::uint32_t>(in_.s32());
         break;
      case op::i64Const:
         got = ValueType::i64, in_.s64();
         break;
      case op::f32Const:
         got = ValueType::f32, in_.take(4);
         break;
      case op::f64Const:
         got = ValueType::f64, in_.take(8);
         break;
      case op::prefixSimd:
         if (in_.u32() == 12)
            got = ValueType::v128, in_.take(16);
         break;
      case op::globalGet:
         in_.fail(at, "global.get is not allowed in a constant expression");
         return 0;
      default:
         break;
      }
      if (in_.ok() && got == ValueType{})
         in_.fail(at, "invalid constant expression");
      if (in_.ok() && got != type)
         in_.fail(at, "a constant expression has the wrong type");
      if (in_.ok() && in_.u8() != op::end)
         in_.fail(in_.offset() - 1, "a constant expression is one constant");
      return value;
   }

   void globals() {
      std::uint64_t mutableBytes = 0;
      for (std::uint32_t n = items(); n && in_.ok(); --n) {
         const std::size_t at = in_.offset();
         ParsedGlobal global;
         global.type = valueType();
         const std::uint8_t flag = in_.u8();
         if (in_.ok() && flag > 1)
            return in_.fail(in_.offset() - 1, "invalid mutability");
         global.isMutable = flag == 1;
         global.initial.begin = in_.offset();
         constant(global.type);
         global.initial.end = in_.offset();
         if (!in_.ok())
            return;
         if (global.isMutable && (mutableBytes += sizeBytes(global.type)) > options_.maxMutableGlobalBytes)
            return in_.fail(at, "mutable globals exceed the limit of bytes");
         out_.globals.push_back(global);
      }
   }

   std::uint32_t functionIndex() {
      const std::size_t at = in_.offset();
      const std::uint32_t index = in_.u32();
      if (in_.ok() && index >= out_.functions.size()) {
         in_.fail(at, "unknown function");
         return 0;
      }
      return index;
   }

   void exports() {
      std::unordered_set<std::string_view> names;
      for (std::uint32_t n = items(); n && in_.ok(); --n) {
         const std::size_t at = in_.offset();
         const std::string_view name = in_.name();
         const std::uint8_t kind = in_.u8();
         const std::size_t indexAt = in_.offset();
         const std::uint32_t index = in_.u32();
         if (!in_.ok())
            return;
         if (!names.insert(name).second)
            return in_.fail(at, "two exports have the same name");
         const std::size_t count = kind == 0   ? out_.functions.size()
                                   : kind == 1 ? out_.table.has_value()
                                   : kind == 2 ? out_.memory.has_value()
                                   : kind == 3 ? out_.globals.size()
                                               : 0;
         if (kind > 3)
            return in_.fail(indexAt - 1, "invalid kind of export");
         if (index >= count)
            return in_.fail(indexAt, "an export names what does not exist");
         if (kind == 0)
            out_.exports.push_back({name, index});
      }
   }

   void start() {
      const std::size_t at = in_.offset();
      const std::uint32_t function = functionIndex();
      if (in_.ok() && out_.typeOf(function) != FunctionType{})
         return in_.fail(at, "the start function takes and returns nothing");
      out_.start = function;
   }

   void elements() {
      for (std::uint32_t n = items(); n && in_.ok(); --n) {
         ParsedElements out;
         out.at = in_.offset();
         const std::uint32_t flags = in_.u32();
         if (in_.ok() && flags > 7)
            return in_.fail(out.at, "invalid element segment");
         using Mode = ParsedElements::Mode;
         out.mode = !(flags & 1) ? Mode::active : flags & 2 ? Mode::declared : Mode::passive;
         const bool expressions = flags & 4;
         if (out.mode == Mode::active) {
            const std::size_t at = in_.offset();
            if (!in_.ok())
               return;
            if ((flags & 2 ? in_.u32() : 0) != 0 || !out_.table)
               return in_.fail(at, "unknown table");
            out.offset = constant(ValueType::i32);
         }
         if (flags & 3) {
            const std::uint8_t kind = in_.u8();
            if (in_.ok() && kind != (expressions ? op::funcref : 0x00))
               return in_.fail(in_.offset() - 1, "elements are functions only");
         }
         std::uint32_t count = items();
         for (; count && in_.ok(); --count) {
            if (!expressions) {
               out.functions.push_back(functionIndex());
            } else {
               const std::size_t at = in_.offset();
               const std::uint8_t code = in_.u8();
               if (code == op::refFunc)
                  out.functions.push_back(functionIndex());
               else if (code == op::refNull && in_.u8() == op::funcref)
                  out.functions.push_back(std::nullopt);
               else
                  return in_.fail(at, "invalid element expression");
               if (in_.u8() != op::end)
                  return in_.fail("invalid element expression");
            }
         }
         if (!in_.ok())
            return;
         if (out.mode == Mode::active && std::uint64_t{out.offset} + out.functions.size() > out_.table->initial)
            return in_.fail(out.at, "an element segment does not fit the table");
         total_ += out.functions.size();
         if (total_ > limits::itemsMax)
            return in_.fail(out.at, "too many elements");
         out_.elements.push_back(std::move(out));
      }
   }

   void bodies() {
      const std::size_t at = in_.offset();
      const std::uint32_t n = in_.count(limits::functionsMax, "too many functions");
      if (in_.ok() && n != declared_)
         return in_.fail(at, "functions and bodies differ in number");
      for (std::uint32_t i = 0; i < n && in_.ok(); ++i) {
         const std::size_t sizeAt = in_.offset();
         const std::uint32_t size = in_.u32();
         if (size > limits::functionBytesMax)
            return in_.fail(sizeAt, "a function is too large");
         const std::size_t begin = in_.offset();
         in_.take(size);
         out_.bodies.push_back({begin, begin + size});
      }
   }

   void data() {
      const std::size_t start = in_.offset();
      const std::uint32_t n = items();
      if (in_.ok() && out_.dataCount && *out_.dataCount != n)
         return in_.fail(start, "the number of data segments differs from the count announced");
      for (std::uint32_t i = 0; i < n && in_.ok(); ++i) {
         ParsedData out;
         const std::size_t at = in_.offset();
         const std::uint32_t flags = in_.u32();
         if (flags > 2)
            return in_.fail(at, "invalid data segment");
         out.active = flags != 1;
         if (out.active) {
            if ((flags == 2 && in_.u32() != 0) || !out_.memory)
               return in_.fail(at, "unknown memory");
            out.offset = constant(ValueType::i32);
         }
         const std::uint32_t size = in_.u32();
         out.bytes.begin = in_.offset();
         in_.take(size);
         out.bytes.end = in_.offset();
         if (!in_.ok())
            return;
         if (out.active && std::uint64_t{out.offset} + size > std::uint64_t{out_.memory->initial} << 16)
            return in_.fail(at, "a data segment does not fit the memory");
         out_.data.push_back(out);
      }
   }

   void finish() {
      if (!in_.ok())
         return;
      if (out_.bodies.size() != declared_)
         in_.fail("functions without bodies");
      else if (out_.dataCount.value_or(0) != out_.data.size() && out_.dataCount)
         in_.fail("the number of data segments differs from the count announced");
   }

   ByteView code_;
   const Options& options_;
   Reader in_;
   ParsedModule out_;
   std::uint32_t declared_ = 0;
   std::size_t total_ = 0;
};

} // namespace

std::expected<ParsedModule, Rejection> parse(ByteView code, const Options& options) {
   return Parser(code, options).run();
}

} // namespace polis::vm
