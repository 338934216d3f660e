// Any request that GraphQL is asked, over tables of a few rows: answered with JSON within the limits, or not at all.
// The first byte says how it is asked; the rest is the query, or the JSON around it.
#include "native_host.hpp"

#include <polis/graphql.hpp>

#include "base/assert.hpp"

namespace polis::sdk {
namespace {

struct Part {
   std::string text;
   std::optional<std::uint64_t> big;
   std::vector<std::int16_t> small;
};
struct Item {
   std::uint32_t id = 0;
   AccountNumber owner;
   std::optional<Part> part;
   std::vector<Part> parts;
   Bytes bytes;
   bool flag = false;
   double real = 0;
   TimePointUSec time;
};
using Items = Table<0, Item, &Item::id, Index<&Item::owner, &Item::id>>;

struct Happened {
   AccountNumber who;
   std::string what;
};
using Happenings = EventTable<1, Happened, By<&Happened::who>>;

/// Fields that nest without end.
struct Deep {
   std::uint32_t level = 0;
   Deep below() const { return {level + 1}; }
   std::vector<Deep> many(std::uint32_t count) const {
      std::vector<Deep> out;
      for (std::uint32_t i = 0; i < count && graphql::current->charge(1); ++i)
         out.push_back({i});
      return out;
   }
};
POLIS_GRAPHQL(Deep, field(below), field(many, count))

struct Query {
   Connection<Item> items(Page<std::uint32_t> page) const {
      return connection(openOf<Items>("items"_a).index<0>(), page);
   }
   Connection<Item> ownedItems(AccountNumber owner, Page<std::uint32_t> page) const {
      return connection(openOf<Items>("items"_a).index<1>(), page, owner);
   }
   /// Events, by an index and by a filter.
   Connection<Happened> happenings(std::optional<AccountNumber> who, std::optional<std::string> what,
                                   Page<std::uint64_t> page) const {
      const auto describe = [&](const EventLine<Happened>& line) {
         return !what || line.event.what == *what ? std::optional(line.event) : std::nullopt;
      };
      const auto all = openOf<Happenings>("items"_a);
      return who ? connectionOf(all.index<1>(), page, describe, *who) : connectionOf(all.index<0>(), page, describe);
   }
   std::optional<Item> item(std::uint32_t id) const { return openOf<Items>("items"_a).get(id); }
   Deep deep() const { return {}; }
   std::string echo(std::string text, std::optional<std::vector<std::int64_t>> numbers, std::optional<Part> part,
                    std::optional<bool> flag) const {
      return text + std::to_string(numbers ? numbers->size() : 0) + (part ? part->text : "") + (flag ? "!" : "");
   }
};
POLIS_GRAPHQL(Query, field(items, page), field(ownedItems, owner, page), field(happenings, who, what, page),
              field(item, id), field(deep), field(echo, text, numbers, part, flag))

void fill() {
   const auto table = openOf<Items>("items"_a, Mode::readWrite);
   for (std::uint32_t i = 0; i < 40; ++i)
      table.put({.id = i * 3,
                 .owner = i % 3 ? "alice"_a : "bob"_a,
                 .part = i % 2 ? std::optional(Part{"text \"" + std::to_string(i), i, {1, -2}}) : std::nullopt,
                 .parts = std::vector<Part>(i % 4),
                 .bytes = Bytes(i, 7),
                 .flag = i % 5 == 0,
                 .real = i / 7.0,
                 .time = {std::int64_t{i} * 1'000'000}});
   for (std::uint64_t i = 1; i <= 40; ++i)
      openOf<Happenings>("items"_a, Mode::readWrite)
          .append({.number = i * 5,
                   .event = {i % 3 ? "alice"_a : "bob"_a, i % 4 ? "sold" : "bought"},
                   .blockNum = 7,
                   .blockTime = {}});
}

/// Whether the text is one JSON value.
bool isJson(std::string_view text) {
   JsonReader reader(text);
   reader.skip();
   return reader.error().message.empty() && reader.token() == JsonToken::end;
}

void ask(const HttpRequest& request, graphql::ErrorForm form) {
   try {
      const auto reply = serveGraphql(Query{}, request, form);
      if (!reply)
         return;
      ASSERT(reply->status == 200 || reply->status == 405 || reply->status == 415);
      ASSERT(reply->body.size() <= graphql::limits::replyBytesMax + 4096);
      if (reply->contentType.starts_with("application/json"))
         ASSERT(isJson(asText(reply->body)));
   } catch (const Aborted&) { // the service fails with a text
   }
}

} // namespace
} // namespace polis::sdk

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis::sdk;
   static const bool filled = (fill(), true);
   static_cast<void>(filled);
   if (size == 0)
      return 0;
   const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
   HttpRequest request{.host = "items.test", .method = "POST", .target = "/graphql", .headers = {}, .body = {}};
   switch (data[0] % 4) {
   case 0:
      request.contentType = "application/graphql";
      request.body = polis::toBytes(text);
      break;
   case 1:
      request.contentType = "application/json";
      request.body = polis::toBytes(text);
      break;
   case 2:
      request.method = "GET";
      request.target += "?query=" + std::string(text);
      break;
   default:
      request.method = "GET";
      request.target = text;
   }
   ask(request, data[0] & 4 ? graphql::ErrorForm::list : graphql::ErrorForm::object);
   return 0;
}
