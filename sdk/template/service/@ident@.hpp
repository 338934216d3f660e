// What @app@ keeps, and what people can do to it.
#pragma once

#include <polis/sdk.hpp>

namespace @ident@ {

using namespace polis::sdk;

struct Entry {
   std::uint32_t id = 0;
   AccountNumber author;
   std::string text;
   TimePointUSec time;
};

class @App@ : public Service {
public:
   static constexpr auto account = "@app@"_a;
   static constexpr std::size_t textBytesMax = 280;

   /// By id, and by author.
   using Entries = Table<0, Entry, &Entry::id, Index<&Entry::author, &Entry::id>>;
   using Tables = std::tuple<Entries>;

   /// Keeps a text of the sender and returns its id, from 1. text: 1 to 280 bytes.
   std::uint32_t add(std::string text);
   /// Sender: the author.
   void remove(std::uint32_t id);
};
POLIS_SERVICE(@App@, action(add, text), action(remove, id))

} // namespace @ident@
