// Polis: fracpack into and out of plain structs, views, and typed JSON.
#include "format_bench_subject.hpp"

#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "format/view.hpp"

namespace polis::bench {
namespace {

using format::View;

std::uint64_t threeFields(View<Transfer> v) {
   const auto action = v.get<&Transfer::actions>()[0];
   return static_cast<std::uint64_t>(v.get<&Transfer::tapos>().expiration.seconds) +
          action.get<&Action::sender>().value + action.get<&Action::rawData>().size();
}
std::uint64_t threeFields(View<Block> v) {
   const auto transactions = v.get<&Block::transactions>();
   return v.get<&Block::header>().get<&Header::blockNum>() +
          transactions[500].get<&Transfer::actions>()[0].get<&Action::service>().value +
          transactions[999].get<&Transfer::proofs>()[0][0];
}
std::uint64_t threeFields(View<Node> v) {
   const std::uint64_t root = v.get<&Node::id>() + v.get<&Node::label>().size();
   for (int i = 0; i < 8; ++i)
      v = v.get<&Node::children>()[0];
   return root + v.get<&Node::id>();
}
std::uint64_t threeFields(View<Row> v) {
   return v.get<&Row::owner>().value + v.get<&Row::balance>() + v.get<&Row::memo>().size();
}
std::uint64_t threeFields(View<Blob> v) {
   const auto content = v.get<&Blob::content>();
   return v.get<&Blob::name>().size() + content.size() + content.back();
}

template <class T>
void add(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "polis";
   subject.packed = format::pack(value);
   ASSERT(format::unpackStrict<T>(subject.packed) == value);
   subject.fields = threeFields(*View<T>::of(subject.packed));

   subject.works["pack"] = repeated([&value, buffer = Bytes()]() mutable {
      format::packOver(buffer, value);
      keep(buffer.data());
   });
   subject.works["unpack"] = repeated([bytes = subject.packed] {
      const auto back = format::unpack<T>(bytes);
      keepObject(back);
   });
   subject.works["unpack_again"] = repeated([bytes = subject.packed, back = T()]() mutable {
      const bool fine = format::unpackInto(bytes, back);
      keep(fine);
      keepObject(back);
   });
   subject.works["validate"] = repeated([bytes = subject.packed] { keep(format::validate<T>(bytes)); });
   subject.works["view"] = repeated([bytes = subject.packed] {
      const auto view = View<T>::of(bytes);
      keep(view ? threeFields(*view) : 0);
   });
   subject.works["read"] = repeated([bytes = subject.packed] { keep(threeFields(View<T>(bytes.data()))); });
   out.push_back(std::move(subject));
}

template <class T>
void addJson(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "polis";
   const std::string text = format::toJson(value);
   subject.packed = toBytes(text);
   const auto back = format::fromJson<T>(text);
   ASSERT(back && *back == value);
   subject.works["json_out"] = repeated([&value, buffer = std::string()]() mutable {
      buffer.clear();
      format::JsonWriter writer(buffer);
      format::writeJson(writer, value);
      keep(buffer.data());
   });
   subject.works["json_in"] = repeated([text] {
      const auto back = format::fromJson<T>(text);
      keepObject(back);
   });
   out.push_back(std::move(subject));
}

} // namespace

void addPolis(Subjects& out, const Transfer& value) { add(out, value); }
void addPolis(Subjects& out, const Block& value) { add(out, value); }
void addPolis(Subjects& out, const Node& value) { add(out, value); }
void addPolis(Subjects& out, const Row& value) { add(out, value); }
void addPolis(Subjects& out, const Blob& value) { add(out, value); }
void addPolisJson(Subjects& out, const Transfer& value) { addJson(out, value); }
void addPolisJson(Subjects& out, const Block& value) { addJson(out, value); }
void addPolisJson(Subjects& out, const Node& value) { addJson(out, value); }
void addPolisJson(Subjects& out, const Row& value) { addJson(out, value); }
void addPolisJson(Subjects& out, const Blob& value) { addJson(out, value); }

} // namespace polis::bench
